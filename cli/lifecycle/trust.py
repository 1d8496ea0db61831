"""Trust anchors and issuer of a new mesh: made here, or taken from files of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.errors import CliError, bad_usage

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

ANCHORS_FLAG: Final = "--identity-trust-anchors-file"
CERTIFICATE_FLAG: Final = "--identity-issuer-certificate-file"
KEY_FLAG: Final = "--identity-issuer-key-file"
_MOST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """What was named on the command line."""

    anchors: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def any(self) -> bool:
        return bool(self.anchors or self.certificate or self.key)


@dataclass(frozen=True, slots=True)
class Trust:
    """In PEM. Without `certificate` and `key` where somebody else makes the issuer."""

    anchors: str
    certificate: str = ""
    key: str = ""


def new_trust(trust_domain: str, *, namespace: str) -> Trust:
    """An anchor whose key nobody has any more, and an issuer below it. CliError for a name that is none."""
    from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below
    from linkerd2_py.controlplane.identity.names import TrustDomain

    try:
        domain = TrustDomain(trust_domain, control_namespace=namespace)
    except ValueError as error:
        raise bad_usage(f"--identity-trust-domain: {error}") from error
    now = SystemClock().wall()
    anchor = make_anchor(domain, now=now)
    issuer = make_issuer_below(anchor, domain, now=now)
    return Trust(
        anchor.certificate_pem.decode(), issuer.certificate_pem.decode(), issuer.key_pem.decode()
    )


def trust_of_files(files: TrustFiles) -> Trust:
    """All three, which must fit. CliError in Linkerd's words where one is missing."""
    if files.anchors is None:
        raise bad_usage(
            f"a trust anchors file must be specified if other credentials are provided: {ANCHORS_FLAG}"
        )
    if files.certificate is None:
        raise bad_usage(
            f"a certificate file must be specified if other credentials are provided: {CERTIFICATE_FLAG}"
        )
    if files.key is None:
        raise bad_usage(
            f"a private key file must be specified if other credentials are provided: {KEY_FLAG}"
        )
    found = Trust(
        anchors=read_text(files.anchors, flag=ANCHORS_FLAG),
        certificate=read_text(files.certificate, flag=CERTIFICATE_FLAG),
        key=read_text(files.key, flag=KEY_FLAG),
    )
    check_trust(found)
    return found


def check_trust(trust: Trust) -> None:
    """CliError unless the issuer can sign now, and one of the anchors vouches for it."""
    from linkerd2_py.controlplane.errors import IssuerError
    from linkerd2_py.controlplane.identity.issuer import make_issuer

    anchors = certificates(trust.anchors, what="the trust anchors")
    chain = certificates(trust.certificate, what="the issuer's certificate")
    try:
        make_issuer(chain, key=_key(trust.key), anchors=anchors, now=SystemClock().wall())
    except IssuerError as error:
        raise CliError(f"failed to validate issuer credentials: {error}") from error


def check_anchors(trust: Trust) -> None:
    """CliError unless these are certificates, of anchors that are strong enough."""
    from linkerd2_py.controlplane.errors import IssuerError
    from linkerd2_py.controlplane.identity.issuer import check_key

    try:
        for anchor in certificates(trust.anchors, what="the trust anchors"):
            check_key(anchor)
    except IssuerError as error:
        raise CliError(f"the trust anchors cannot be used: {error}") from error


def certificates(pem: str, *, what: str) -> Sequence[x509.Certificate]:
    """CliError that names `what` should have been certificates."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise CliError(f"{what}: there are no certificates in PEM that can be read") from error


def read_text(path: Path, *, flag: str) -> str:
    """CliError that names the flag and the file."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CliError(f"{flag}: {path} is larger than {_MOST_BYTES} bytes")
        return path.read_text()
    except OSError as error:
        raise CliError(f"{flag}: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{flag}: {path}: it is not text") from error


def _key(pem: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:
        raise CliError("the issuer's key is encrypted: store it without a password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # Not with the library's own words: they must never quote a key.
        raise CliError(
            "the issuer's key: there is no private key in PEM that can be read"
        ) from error
