"""Makes the certificate of a workload: a leaf for one key and one name, and the chain above it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkerd2_py.controlplane.identity.issuer import Issuer, for_signatures
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

DEFAULT_LIFETIME: Final = timedelta(hours=24)
DEFAULT_CLOCK_SKEW: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a leaf lives, and how far clocks in the mesh may differ: it is valid that much earlier and
    later.
    """

    lifetime: timedelta = DEFAULT_LIFETIME
    clock_skew: timedelta = DEFAULT_CLOCK_SKEW

    def __post_init__(self) -> None:
        if self.lifetime <= timedelta(0) or self.clock_skew < timedelta(0):
            raise ValueError(
                "the lifetime of a certificate must be positive, the skew not negative"
            )


@dataclass(frozen=True, slots=True)
class Certified:
    """A leaf and what leads from it to an anchor, in DER, the leaf's issuer first."""

    leaf: bytes
    intermediates: tuple[bytes, ...]
    valid_until: datetime
    serial: int


def certify(
    key: ec.EllipticCurvePublicKey,
    *,
    identity: str,
    issuer: Issuer,
    now: float,
    validity: Validity,
) -> Certified:
    """Sign `key` for `identity` at `now` (Unix seconds).

    Never outlives the chain that it hangs on. `RefusedError` (`ISSUER`) when that is not valid now.
    """
    moment = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    if not issuer.starts <= moment < issuer.ends:
        raise RefusedError(
            Reason.ISSUER,
            f"the issuer's chain is valid from {issuer.starts:%Y-%m-%dT%H:%M:%SZ} until"
            f" {issuer.ends:%Y-%m-%dT%H:%M:%SZ} only: install a valid issuer",
        )
    valid_until = min(moment + validity.lifetime + validity.clock_skew, issuer.ends)
    serial = x509.random_serial_number()
    builder = (
        # Without a subject: a CommonName holds 64 characters, an identity up to 253.
        x509.CertificateBuilder(issuer_name=issuer.certificate.subject, subject_name=x509.Name([]))
        .serial_number(serial)
        .not_valid_before(moment - validity.clock_skew)
        .not_valid_after(valid_until)
        .public_key(key)
    )
    for extension, critical in _extensions(identity, issuer=issuer, key=key):
        builder = builder.add_extension(extension, critical=critical)
    leaf = builder.sign(issuer.key, hashes.SHA256())
    return Certified(
        leaf=leaf.public_bytes(Encoding.DER),
        intermediates=tuple(each.public_bytes(Encoding.DER) for each in issuer.chain),
        valid_until=valid_until,
        serial=serial,
    )


def _extensions(
    identity: str, *, issuer: Issuer, key: ec.EllipticCurvePublicKey
) -> list[tuple[x509.ExtensionType, bool]]:
    """Each with whether it is critical; the name is, for there is no subject (RFC 5280, 4.2.1.6)."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return [
        (x509.SubjectAlternativeName([x509.DNSName(identity)]), True),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (for_signatures(certificates=False), True),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
        (issuer.key_identifier, False),
    ]
