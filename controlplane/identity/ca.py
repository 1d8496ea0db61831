"""Makes trust anchors and issuers: for a mesh on one machine, for development, for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from linkerd2_py.controlplane.identity.certifier import DEFAULT_CLOCK_SKEW
from linkerd2_py.controlplane.identity.issuer import Issuer, for_signatures, make_issuer
from linkerd2_py.controlplane.identity.names import TrustDomain

ANCHOR_LIFETIME: Final = timedelta(days=3650)
ISSUER_LIFETIME: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate that may sign others, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PKCS#8, not encrypted: for files of mode 0600 only."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_anchor(
    trust_domain: TrustDomain, *, now: float, lifetime: timedelta = ANCHOR_LIFETIME
) -> Signer:
    """A self-signed trust anchor from `now` (Unix seconds) on."""
    return _make(trust_domain.anchor_name, signer=None, now=now, lifetime=lifetime, depth=1)


def make_issuer_below(
    anchor: Signer,
    trust_domain: TrustDomain,
    *,
    now: float,
    lifetime: timedelta = ISSUER_LIFETIME,
) -> Signer:
    """An issuer that signs leaves only; it never outlives `anchor`."""
    return _make(trust_domain.issuer_name, signer=anchor, now=now, lifetime=lifetime, depth=0)


def throw_away(
    trust_domain: TrustDomain, *, now: float, lifetime: timedelta = ISSUER_LIFETIME
) -> tuple[Issuer, bytes]:
    """An issuer whose anchor's key is forgotten at once, and that anchor in PEM, for proxies to trust."""
    anchor = make_anchor(trust_domain, now=now, lifetime=lifetime)
    below = make_issuer_below(anchor, trust_domain, now=now, lifetime=lifetime)
    issuer = make_issuer([below.certificate], key=below.key, anchors=[anchor.certificate], now=now)
    return issuer, anchor.certificate_pem


def _make(
    name: str, *, signer: Signer | None, now: float, lifetime: timedelta, depth: int
) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    moment = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    ends = moment + lifetime + DEFAULT_CLOCK_SKEW
    signed_by = signer.certificate if signer else None
    signing_key = signer.key if signer else key
    certificate = (
        x509.CertificateBuilder(
            issuer_name=signed_by.subject if signed_by else subject, subject_name=subject
        )
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - DEFAULT_CLOCK_SKEW)
        .not_valid_after(min(ends, signed_by.not_valid_after_utc) if signed_by else ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(for_signatures(certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
        .sign(signing_key, hashes.SHA256())
    )
    return Signer(certificate=certificate, key=key)
