"""Anchors and issuer from PEM files, under the names that Linkerd, Kubernetes and `identity-ca` give them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linkerd2_py.controlplane.edits import Stamp, stamp
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.issuer import Issuer, make_issuer

ANCHOR_NAMES: Final = ("ca-bundle.crt", "ca.crt")
ISSUER_NAMES: Final = (
    ("crt.pem", "key.pem"),
    ("tls.crt", "tls.key"),
    ("issuer.crt", "issuer.key"),
)
# A bundle of hundreds of anchors; nothing larger is one.
_MOST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IssuerFiles:
    """`anchors`: one certificate or more; `certificate`: the issuer's, then those above it; `key`: its
    private key.
    """

    anchors: Path
    certificate: Path
    key: Path

    @classmethod
    def find(cls, issuer: Path, *, anchors: Path | None = None) -> Self:
        """In the directory `issuer`; anchors may be in another. `IssuerError` naming what was looked for."""
        pairs = [pair for pair in ISSUER_NAMES if any((issuer / name).exists() for name in pair)]
        if len(pairs) != 1:
            found = "has several of" if pairs else "has none of"
            names = ", ".join(" with ".join(pair) for pair in pairs or ISSUER_NAMES)
            raise IssuerError(f"{issuer}: {found} the issuer's files {names}: keep one pair there")
        return cls(_anchors_in(anchors or issuer), *(issuer / name for name in pairs[0]))

    def stamps(self) -> tuple[Stamp, ...]:
        """What changes whenever one of the files does."""
        return tuple(stamp(path) for path in (self.anchors, self.certificate, self.key))

    def load(self, *, now: float) -> Issuer:
        """Read and validate at `now` (Unix seconds). `IssuerError` naming the file."""
        anchors = certificates_in(_read(self.anchors), where=self.anchors)
        certificates = certificates_in(_read(self.certificate), where=self.certificate)
        key = key_in(_read(self.key), where=self.key)
        try:
            return make_issuer(certificates, key=key, anchors=anchors, now=now)
        except IssuerError as error:
            raise IssuerError(f"{self.certificate}: {error}") from error


def _anchors_in(directory: Path) -> Path:
    found = [directory / name for name in ANCHOR_NAMES if (directory / name).exists()]
    if not found:
        raise IssuerError(f"{directory}: has no trust anchors: put them into {ANCHOR_NAMES[0]}")
    return found[0]


def certificates_in(pem: bytes, *, where: Path | str) -> list[x509.Certificate]:
    """At least one. `IssuerError` naming where they were looked for."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise IssuerError(f"{where}: has no certificates in PEM that can be read") from error


def key_in(pem: bytes, *, where: Path | str) -> PrivateKeyTypes:
    """A private key. `IssuerError` naming where it was looked for."""
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise IssuerError(f"{where}: the key is encrypted: store it without a password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # Not with the library's own words: they must never quote a key.
        raise IssuerError(f"{where}: has no private key in PEM that can be read") from error


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise IssuerError(f"{path}: there is no such file")
        if path.stat().st_size > _MOST_BYTES:
            raise IssuerError(f"{path}: is larger than {_MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise IssuerError(f"{path}: cannot be read: {error.strerror}") from error
