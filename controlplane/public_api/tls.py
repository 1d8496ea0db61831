"""The certificate and the key of a server that is asked by TLS, followed as their files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POLL_S: Final = 10.0

logger = logging.getLogger(__name__)


class CertificateError(Exception):
    """A certificate and its key cannot be used; in one line, why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """In PEM, as Kubernetes mounts a Secret."""

    certificate: Path
    key: Path

    def seen(self) -> tuple[int, ...]:
        """Differs once a file has been exchanged; empty while one is not there."""
        try:
            return tuple(path.stat().st_mtime_ns for path in (self.certificate, self.key))
        except OSError:
            return ()

    async def follow(self, context: ssl.SSLContext, *, poll_s: float = POLL_S) -> None:
        """New connections get what is in the files; what cannot be used is told, and changes nothing."""
        used = self.seen()
        while True:
            await asyncio.sleep(poll_s)
            seen = self.seen()
            if not seen or seen == used:
                continue
            used = seen
            try:
                # Half of what is loaded stays where the other half cannot be: it is tried elsewhere first.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                logger.warning("%s cannot be used: %s", self.certificate, error)
            else:
                logger.info("%s is in use now", self.certificate)
