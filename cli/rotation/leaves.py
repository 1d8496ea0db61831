"""Who signed the certificates that proxies present: each is asked by a handshake, through the API server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from linkerd2_py.cli.forward import forwarded

if TYPE_CHECKING:
    from cryptography import x509

    from linkerd2_py.cli.rotation.look import Meshed
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

ANOTHER: Final = "another"
"""An issuer that is not the one in force."""
_TIMEOUT_S: Final = 10.0
_MOST_AT_ONCE: Final = 16


async def signers(
    api: ApiServer, pods: Iterable[Meshed], *, issuer: x509.Certificate
) -> dict[str, str]:
    """By the pods' names: the key of `issuer`, or `ANOTHER`. Who does not answer is left out."""
    from linkerd2_py.cli.rotation.look import public_key

    turns = asyncio.Semaphore(_MOST_AT_ONCE)
    key = public_key(issuer)

    async def ask(pod: Meshed) -> tuple[str, str | None]:
        async with turns:
            leaf = await _presented(api, pod)
        if leaf is None:
            return pod.proxy.called, None
        return pod.proxy.called, key if _is_signed(leaf, by=issuer) else ANOTHER

    answers = await asyncio.gather(*(ask(pod) for pod in pods if pod.running))
    return {name: signer for name, signer in answers if signer is not None}


async def _presented(api: ApiServer, pod: Meshed) -> bytes | None:
    """The leaf, in DER; None where there is no answer."""
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    # What it presents is looked at, not believed: nothing is sent there.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    about = pod.proxy
    try:
        async with (
            asyncio.timeout(_TIMEOUT_S),
            forwarded(api, namespace=about.namespace, pod=about.name, port=pod.port) as door,
        ):
            host, _, port = door.address.rpartition(":")
            _, writer = await asyncio.open_connection(
                host, int(port), ssl=tls, server_hostname=pod.identity
            )
            try:
                connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
                return connection.getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
                with suppress(OSError):
                    await writer.wait_closed()
    except (ApiError, OSError, TimeoutError):
        return None


def _is_signed(der: bytes, *, by: x509.Certificate) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        x509.load_der_x509_certificate(der).verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
