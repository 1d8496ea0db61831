"""Workloads with certificates of a mesh of their own: for handshakes with the engine and with
everybody else.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkerd2_py._ext.tls.credentials import Credentials
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.clock import SystemClock
from tests.support.certificates import Signer, certificate_of, common_name, dns_names, new_key

DAY_S: Final = 86_400.0
BOTH_USAGES: Final = (
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    False,
)


def _says_usages(extensions: Sequence[tuple[x509.ExtensionType, bool]]) -> bool:
    return any(isinstance(extension, x509.ExtendedKeyUsage) for extension, _ in extensions)


def name_of(account: str, *, namespace: str = "emojivoto") -> str:
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"


class Workload:
    """A key and a chain, in every form that somebody may want them in."""

    def __init__(
        self, name: str, *, key: object, leaf: x509.Certificate, issuers: Sequence[Signer]
    ) -> None:
        self.name = name
        self._key = key
        self._certificates = [leaf, *(issuer.certificate for issuer in issuers)]

    @property
    def chain(self) -> list[bytes]:
        return [one.public_bytes(Encoding.DER) for one in self._certificates]

    @property
    def key_der(self) -> bytes:
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]

    @property
    def chain_pem(self) -> bytes:
        return b"".join(one.public_bytes(Encoding.PEM) for one in self._certificates)

    @property
    def key_pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]

    def credentials(self, *, anchors: bytes) -> Credentials:
        return Credentials(name=self.name, key=self.key_der, chain=self.chain, anchors=anchors)

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Certificate chain and key in PEM, as openssl and nginx want them."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / "tls.crt", folder / "tls.key"
        certificate.write_bytes(self.chain_pem)
        key.write_bytes(self.key_pem)
        return certificate, key


class MeshAuthority:
    """A trust anchor and an issuer below it, valid now."""

    def __init__(
        self,
        *,
        starts: float | None = None,
        lifetime_s: float = 365 * DAY_S,
        anchor_key: CertificateIssuerPrivateKeyTypes | None = None,
    ) -> None:
        self._since = SystemClock().wall() - 3600 if starts is None else starts
        self._lifetime_s = lifetime_s
        self.anchor = Signer(
            "root.linkerd.cluster.local",
            key=anchor_key,
            starts=self._since,
            lifetime_s=lifetime_s,
        )
        self.issuer = self.signer()

    @property
    def anchors(self) -> bytes:
        return self.anchor.pem

    def signer(self, name: str = "identity.linkerd.cluster.local", **changed: Any) -> Signer:
        """An issuer below the anchor; with what a test wants changed."""
        usual = {"by": self.anchor, "starts": self._since, "lifetime_s": self._lifetime_s}
        return Signer(name, **{**usual, **changed})

    def workload(
        self,
        account: str = "web",
        *,
        names: Sequence[str] | None = None,
        starts: float | None = None,
        lifetime_s: float = DAY_S,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        usages: bool = True,
        issuers: Sequence[Signer] | None = None,
    ) -> Workload:
        """`names`: what its certificate says in place of its name; none: it has no name. `issuers`: the
        chain, who signs it first.

        `extensions`: beside the name; with no usages among them it is for servers and clients, unless it is
        not to say (`usages`).
        """
        name, key = name_of(account), new_key()
        chain = [self.issuer] if issuers is None else issuers
        said = [name] if names is None else list(names)
        leaf = certificate_of(
            key.public_key(),
            subject=common_name("leaf"),
            issuer=chain[0].subject,
            signing_key=chain[0].key,
            starts=SystemClock().wall() - 60 if starts is None else starts,
            lifetime_s=lifetime_s,
            extensions=[
                *([dns_names(*said)] if said else []),
                *([BOTH_USAGES] if usages and not _says_usages(extensions) else []),
                *extensions,
            ],
        )
        return Workload(name, key=key, leaf=leaf, issuers=chain)

    def credentials(self, account: str = "web", *, anchors: bytes | None = None) -> Credentials:
        return self.workload(account).credentials(anchors=anchors or self.anchors)


def ssl_context(
    workload: Workload | None, *, anchors: bytes, folder: Path, server: bool
) -> ssl.SSLContext:
    """Python's own TLS as a workload of the mesh; None: a client that shows no certificate."""
    side = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
    made = ssl.SSLContext(side)
    made.load_verify_locations(cadata=anchors.decode())
    if workload is not None:
        made.load_cert_chain(*workload.files(folder))
    return made


def identity_of(mesh: MeshAuthority, account: str) -> LocalIdentity:
    """The identity of a proxy that has its certificate."""
    identity = LocalIdentity(name_of(account))
    identity.install(mesh.credentials(account))
    return identity
