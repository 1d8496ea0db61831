"""Proxies with identities: a control plane that certifies, and what each proxy needs to ask it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.identity import IdentitySettings
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.run.local import EmbeddedControlPlane, build_embedded
from tests.support.certificates import csr, dns_names, new_key
from tests.support.local_mesh import LocalMesh
from tests.support.ports import free_address

DOMAIN = TrustDomain()


def name_in(account: str) -> str:
    return DOMAIN.identity(account, namespace="emojivoto")


@dataclass
class Certified:
    """A mesh's authority, its control plane (which can go and come back at its address), and its tokens."""

    folder: Path
    validity: Validity
    issuer: Issuer
    anchors: bytes
    local_mesh: LocalMesh = field(default_factory=LocalMesh)
    tokens: WorkloadTokens = field(default_factory=WorkloadTokens)
    address: tuple[str, int] = field(default_factory=free_address)
    plane: EmbeddedControlPlane | None = None
    secured: bool = False
    """What comes to the control plane without TLS is refused."""

    async def start(self) -> None:
        host, port = self.address
        settings = IdentitySettings(issuer=self.issuer, tokens=self.tokens, validity=self.validity)
        self.plane = await build_embedded(
            self.local_mesh.store,
            proxy_api=Listen(host, port, secured=self.secured),
            identity=settings,
        )

    async def stop(self) -> None:
        if self.plane is not None:
            await self.plane.stop()
            self.plane = None

    def variables(self, account: str, *, token_of: str | None = None) -> dict[str, str]:
        """The identity of a proxy, without the prefix: its folder has a token. `token_of`:
        somebody else's.
        """
        folder = self.folder / account
        folder.mkdir(mode=0o700, exist_ok=True)
        token = folder / "token"
        token.write_bytes(self.tokens.issue(name_in(token_of or account)))
        token.chmod(0o600)
        return {
            "IDENTITY_DISABLED": "",
            "IDENTITY_SVC_ADDR": f"{self.address[0]}:{self.address[1]}",
            "IDENTITY_TRUST_ANCHORS": self.anchors.decode(),
            "IDENTITY_DIR": str(folder),
            "IDENTITY_TOKEN_FILE": str(token),
            "IDENTITY_LOCAL_NAME": name_in(account),
            "IDENTITY_MIN_REFRESH": "50ms",
        }

    def with_key(self, account: str, *, token_of: str | None = None) -> dict[str, str]:
        """The same for a proxy that nobody makes a key for before it starts."""
        variables = self.variables(account, token_of=token_of)
        folder, key = Path(variables["IDENTITY_DIR"]), new_key()
        (folder / "key.p8").write_bytes(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "csr.der").write_bytes(csr(key, extensions=[dns_names(name_in(account))]))
        return variables


@asynccontextmanager
async def certified(
    folder: Path, *, lifetime_s: float = 86_400.0, started: bool = True, secured: bool = False
) -> AsyncIterator[Certified]:
    """`lifetime_s`: of leaves; the clocks of one machine do not differ."""
    issuer, anchors = throw_away(DOMAIN, now=SystemClock().wall())
    validity = Validity(lifetime=timedelta(seconds=lifetime_s), clock_skew=timedelta(0))
    mesh = Certified(
        folder=folder, validity=validity, issuer=issuer, anchors=anchors, secured=secured
    )
    if started:
        await mesh.start()
    try:
        yield mesh
    finally:
        await mesh.stop()
        await asyncio.sleep(0)
