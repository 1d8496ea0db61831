"""The certificates that proxies present, read as any client would: by a TLS handshake with the port they
listen on.

No certificate of ours is shown: a proxy decides whom it serves after the handshake, and nothing is sent
there.
"""

import asyncio
import os
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import Mesh

# Proxies are near. More at once would only wait for each other's arithmetic.
TIMEOUT_S = 3.0
_MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Presented:
    """The leaf of one pod's proxy, or the `problem` instead; `verified` by the mesh's anchors."""

    pod: Key
    identity: str = ""
    certificate: x509.Certificate | None = None
    verified: bool = False
    problem: str = ""


class NotPresentedError(Exception):
    """No certificate, or not the right one; the message follows the pod's name in a line."""


async def certificates_of(
    pods: Iterable[Key],
    *,
    mesh: Mesh,
    anchors: Sequence[x509.Certificate],
    timeout_s: float = TIMEOUT_S,
) -> list[Presented]:
    """What each presents, in the same order. Verified by `anchors`, unless there are none."""
    tls = _client(anchors)
    turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def present(key: Key) -> Presented:
        pod = mesh.pods.get(key)
        identity = pod.identity if pod else ""
        try:
            async with turns:
                leaf = await _read(_meshed(pod), tls=tls, timeout_s=timeout_s)
        except NotPresentedError as error:
            return Presented(key, identity, problem=str(error))
        return Presented(key, identity, leaf, verified=bool(anchors))

    return list(await asyncio.gather(*map(present, pods)))


def _client(anchors: Sequence[x509.Certificate]) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    # Names are compared with the leaf, exactly: an identity is no host name, and knows no wildcards.
    tls.check_hostname = False
    if anchors:
        # An anchor is trusted as it is, whether it signed itself or not.
        tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        pems = (anchor.public_bytes(Encoding.PEM).decode() for anchor in anchors)
        tls.load_verify_locations(cadata="".join(pems))
    else:
        tls.verify_mode = ssl.CERT_NONE
    return tls


def _meshed(pod: Pod | None) -> Pod:
    """`NotPresentedError` for a pod whose proxy cannot have a certificate."""
    if pod is None:
        raise NotPresentedError("does not exist")
    if not pod.meshed:
        raise NotPresentedError("is not meshed: it has no proxy")
    if not pod.identity or not pod.inbound_port:
        raise NotPresentedError("has no identity: its proxy speaks plain text")
    return pod


async def _read(pod: Pod, *, tls: ssl.SSLContext, timeout_s: float) -> x509.Certificate:
    address = f"{pod.ip}:{pod.inbound_port}"
    try:
        async with asyncio.timeout(timeout_s):
            der = await _handshake(pod, tls=tls)
    except TimeoutError as error:
        raise NotPresentedError(f"did not answer at {address} within {timeout_s:g}s") from error
    except ssl.SSLCertVerificationError as error:
        reason = f"presents a certificate that no trust anchor vouches for: {error.verify_message}"
        raise NotPresentedError(reason) from error
    except ssl.SSLError as error:
        raise NotPresentedError(f"does not speak TLS at {address}: {_in_words(error)}") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "it ended the handshake"
        raise NotPresentedError(f"cannot be reached at {address}: {reason}") from error
    return _checked(der, identity=pod.identity)


async def _handshake(pod: Pod, *, tls: ssl.SSLContext) -> bytes:
    """The leaf, in DER."""
    _reader, writer = await asyncio.open_connection(
        pod.ip, pod.inbound_port, ssl=tls, server_hostname=pod.identity
    )
    try:
        connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return connection.getpeercert(binary_form=True) or b""
    finally:
        # Nobody waits for a good-bye.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _checked(der: bytes, *, identity: str) -> x509.Certificate:
    """A leaf for exactly this name."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as error:
        raise NotPresentedError(
            f"presents a certificate without a name, not {identity!r}"
        ) from error
    except (ValueError, x509.DuplicateExtension) as error:
        raise NotPresentedError("presents a certificate that cannot be read") from error
    found = [str(name.value) for name in names]
    if found != [identity]:
        raise NotPresentedError(f"presents {', '.join(found)!r}, not {identity!r}")
    return leaf


def _in_words(error: ssl.SSLError) -> str:
    """OpenSSL's `WRONG_VERSION_NUMBER`, as words."""
    return str(error.reason or "no reason given").replace("_", " ").lower()
