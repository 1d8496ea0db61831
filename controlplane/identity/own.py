"""The control plane's own certificate, made by its own issuer: what proxies know it by."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.tls.credentials import Credentials, CredentialsError
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.edits import POLL_S
from linkerd2_py.controlplane.identity.certifier import Validity, certify
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.refusals import RefusedError
from linkerd2_py.controlplane.identity.reload import CurrentIssuer
from linkerd2_py.controlplane.identity.trust import bundle_of

_RENEWED_AT: Final = 0.7
"""Of a certificate's life, as proxies renew theirs."""

logger = logging.getLogger(__name__)


class OwnCertificate:
    """`identity` has it from `start` on, renewed in time and whenever something else signs. While nothing
    can be signed it has none, or keeps the last one, and a line in the log says why.
    """

    def __init__(
        self, name: str, *, current: CurrentIssuer, validity: Validity, clock: Clock
    ) -> None:
        self.identity = LocalIdentity(name)
        self.identity.on_failure = _tell
        self._current = current
        self._validity = validity
        self._clock = clock
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._signed_by: Issuer | None = None
        self._due = 0.0
        self._problem = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Certify at once, and keep it so until `stop`."""
        self._renew()
        self._task = supervise(self._keep, name="own-certificate")

    async def stop(self) -> None:
        """May be repeated."""
        if self._task:
            await cancel_all([self._task])

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._look()

    def _look(self) -> None:
        if self._current.issuer is not self._signed_by or self._clock.wall() >= self._due:
            self._renew()

    def _renew(self) -> None:
        try:
            self._certify(self._current.issuer)
        except (RefusedError, CredentialsError) as error:
            if str(error) != self._problem:
                logger.warning("no certificate for %s: %s", self.identity.name, error)
            self._problem = str(error)
        else:
            self._problem = ""

    def _certify(self, issuer: Issuer) -> None:
        now = self._clock.wall()
        made = certify(
            self._key.public_key(),
            identity=self.identity.name,
            issuer=issuer,
            now=now,
            validity=self._validity,
        )
        credentials = Credentials(
            name=self.identity.name,
            key=self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            chain=[made.leaf, *made.intermediates],
            anchors=bundle_of(issuer.anchors),
        )
        self.identity.install(credentials)
        self._signed_by = issuer
        self._due = now + _RENEWED_AT * (made.valid_until.timestamp() - now)
        life = timedelta(seconds=round(made.valid_until.timestamp() - now))
        logger.info("certified as %s for %s", self.identity.name, life)


def _tell(_inbound: bool, peer: Address | None, reason: str) -> None:  # noqa: FBT001  # the engine's
    # Whoever can connect can fail: in no log that is on by default.
    logger.debug("TLS with %s failed: %s", peer, reason)
