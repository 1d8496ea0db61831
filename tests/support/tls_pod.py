"""A pod's proxy as far as a TLS handshake goes: presents a certificate of the test's choice, on the `ssl`
module.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.certifier import Validity, certify
from linkerd2_py.controlplane.identity.issuer import Issuer
from tests.support.certificates import IDENTITY, new_key


class TlsPod:
    """Listens on `port` of 127.0.0.1 while it is entered."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.port = 0
        # What a client asked for and sent, connection by connection.
        self.names: list[str | None] = []
        self.received: list[bytes] = []
        tls.sni_callback = self._on_name

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["TlsPod"]:
        server = await asyncio.start_server(self._on_client, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    def _on_name(self, _object: ssl.SSLObject, name: str | None, _tls: ssl.SSLContext) -> None:
        self.names.append(name)

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.received.append(await reader.read())
        except (ConnectionError, ssl.SSLError):
            self.received.append(b"")
        finally:
            writer.transport.abort()


def presenting(
    directory: Path, *, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> ssl.SSLContext:
    """A server's TLS with this leaf and what follows it. Clients need no certificate."""
    path = _in_pem(directory / "presented.pem", key=key, chain=chain)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_cert_chain(path)
    return tls


def certified(
    directory: Path,
    *,
    issuer: Issuer,
    now: float,
    identity: str = IDENTITY,
) -> ssl.SSLContext:
    """As `presenting`, with a leaf that the identity service would make at `now`."""
    key = new_key()
    made = certify(key.public_key(), identity=identity, issuer=issuer, now=now, validity=Validity())
    chain = [x509.load_der_x509_certificate(each) for each in (made.leaf, *made.intermediates)]
    return presenting(directory, key=key, chain=chain)


def client_side(
    directory: Path, *, issuer: Issuer, anchors: bytes, identity: str | None
) -> ssl.SSLContext:
    """A client's TLS, which trusts `anchors`, as `identity`; None: one that shows no certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=anchors.decode())
    if identity is not None:
        key, now = new_key(), SystemClock().wall()
        made = certify(
            key.public_key(), identity=identity, issuer=issuer, now=now, validity=Validity()
        )
        chain = [x509.load_der_x509_certificate(each) for each in (made.leaf, *made.intermediates)]
        tls.load_cert_chain(_in_pem(directory / "shown.pem", key=key, chain=chain))
    return tls


def _in_pem(
    path: Path, *, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> Path:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(b"".join([private, *(each.public_bytes(Encoding.PEM) for each in chain)]))
    return path
