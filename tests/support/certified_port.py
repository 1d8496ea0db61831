"""A port that presents a certificate, as a proxy's inbound port does."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from pathlib import Path
from socket import create_server
from typing import Final, Self

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import Signer as Issuer
from tests.support.certificates import Signer, certificate_of, common_name, dns_names, new_key

_LIFETIME_S: Final = 3600.0


class CertifiedPort:
    """At `address` while the block lasts; whoever comes gets the handshake, and nothing else."""

    def __init__(self, folder: Path, *, identity: str, issuer: Issuer) -> None:
        self._folder = folder
        self._identity = identity
        self.present(issuer)
        self._server = create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._serving = threading.Thread(target=self._serve, daemon=True)

    def present(self, issuer: Issuer) -> None:
        """From now on a leaf that this one has signed."""
        key = new_key()
        leaf = certificate_of(
            key.public_key(),
            subject=common_name(self._identity[:64]),
            issuer=issuer.certificate.subject,
            signing_key=issuer.key,
            starts=SystemClock().wall() - 60,
            lifetime_s=_LIFETIME_S,
            extensions=[dns_names(self._identity)],
        )
        signed = Signer.__new__(Signer)
        signed.key, signed.certificate = key, leaf
        path = self._folder / f"{self._identity}.pem"
        path.write_bytes(signed.key_pem + signed.pem)
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(path)
        self._tls = found

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection, suppress(OSError):
                    connection.settimeout(10)
                    with self._tls.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept is not woken by close alone.
        with suppress(OSError):
            self._server.shutdown(2)
        self._server.close()
        self._serving.join(timeout=30)
