"""What signs leaves: a certificate with its key, and the path from it to a trust anchor, found valid before
it is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linkerd2_py.controlplane.errors import IssuerError

IssuerKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LONGEST_PATH: Final = 5
_FEWEST_RSA_BITS: Final = 2048
_ANCHOR_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@dataclass(frozen=True, slots=True)
class Issuer:
    """`chain` is what goes with each leaf, the issuer first, without the anchor; the whole path is valid from
    `starts` to `ends`.

    It leads to one of `anchors`, which is all that the mesh trusts.
    """

    certificate: x509.Certificate
    key: IssuerKey
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    starts: datetime
    ends: datetime

    @property
    def name(self) -> str:
        """For logs."""
        return display_name(self.certificate)

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """How a leaf points at this issuer: by the issuer's own identifier if it has one."""
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def make_issuer(
    certificates: Sequence[x509.Certificate],
    *,
    key: PrivateKeyTypes,
    anchors: Sequence[x509.Certificate],
    now: float,
) -> Issuer:
    """From the issuer's certificate, followed by those above it, its key, and the anchors. `IssuerError`."""
    moment = datetime.fromtimestamp(now, UTC)
    certificate = certificates[0]
    signing_key = check_pair(certificate, key=key)
    below, anchor = path_to_anchor(certificates, anchors=anchors, moment=moment)
    path = below if below[-1] == anchor else [*below, anchor]
    for authorities_below, each in enumerate(path):
        _check_authority(each, authorities_below=authorities_below)
        _check_time(each, moment=moment)
    return Issuer(
        certificate=certificate,
        key=signing_key,
        chain=tuple(below),
        anchors=tuple(anchors),
        starts=max(each.not_valid_before_utc for each in path),
        ends=min(each.not_valid_after_utc for each in path),
    )


def check_pair(certificate: x509.Certificate, *, key: PrivateKeyTypes) -> IssuerKey:
    """The key of this issuer, as one that may sign. `IssuerError` where it is not."""
    signing_key = _issuer_key(key)
    if _raw(signing_key.public_key()) != _raw(_public_key(certificate)):
        raise IssuerError(
            f"the key is not the one of the issuer certificate {display_name(certificate)}"
        )
    return signing_key


def display_name(certificate: x509.Certificate) -> str:
    """The subject, as a person reads it."""
    return repr(certificate.subject.rfc4514_string() or "(no subject)")


def for_signatures(*, certificates: bool) -> x509.KeyUsage:
    """A key that signs certificates, or one that signs handshakes, and nothing else."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def path_to_anchor(
    certificates: Sequence[x509.Certificate],
    *,
    anchors: Sequence[x509.Certificate],
    moment: datetime,
) -> tuple[list[x509.Certificate], x509.Certificate]:
    """The certificates from the issuer to the first that an anchor issued, and that anchor. `IssuerError` if
    none did.

    Of several (an anchor that was renewed for the same key) the one valid for longest.
    """
    below: list[x509.Certificate] = []
    for certificate, following in zip(certificates, [*certificates[1:], None], strict=True):
        below.append(certificate)
        if issuers := [anchor for anchor in anchors if is_issued(certificate, by=anchor)]:
            valid = [anchor for anchor in issuers if anchor.not_valid_before_utc <= moment]
            return below, max(valid or issuers, key=lambda anchor: anchor.not_valid_after_utc)
        if following is None or len(below) == LONGEST_PATH:
            break
        if not is_issued(certificate, by=following):
            raise IssuerError(
                f"{display_name(certificate)} was not issued by {display_name(following)}, which follows it:"
                " put the issuer first, then what issued it, and so on"
            )
    raise IssuerError(
        f"no trust anchor issued {display_name(below[-1])}: give its anchor, or the certificates between"
    )


def is_issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    """Whether the key of `by` signed it, by that name."""
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_authority(certificate: x509.Certificate, *, authorities_below: int) -> None:
    name = display_name(certificate)
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise IssuerError(f"{name} has extensions that cannot be read: {error}") from error
    is_authority, depth = _limits(extensions)
    if not is_authority or not _may_sign(extensions):
        raise IssuerError(f"{name} is not a certificate authority: it may not sign certificates")
    if depth is not None and depth < authorities_below:
        raise IssuerError(f"{name} allows {depth} authorities below it, not {authorities_below}")
    check_key(certificate)


def check_key(certificate: x509.Certificate) -> None:
    """`IssuerError` for an authority whose key the mesh does not accept."""
    if not _is_strong(_public_key(certificate)):
        raise IssuerError(
            f"the key of {display_name(certificate)} is not accepted in the mesh: use ECDSA P-256"
            f" (or P-384, P-521, Ed25519, RSA of {_FEWEST_RSA_BITS} bits)"
        )


def _limits(extensions: x509.Extensions) -> tuple[bool, int | None]:
    """Whether it is an authority, and how many authorities may be below it (None: any number)."""
    try:
        limits = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False, None
    return limits.ca, limits.path_length


def _may_sign(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _check_time(certificate: x509.Certificate, *, moment: datetime) -> None:
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if moment >= ends:
        raise IssuerError(
            f"{display_name(certificate)} expired at {ends:%Y-%m-%dT%H:%M:%SZ}: renew it"
        )
    if moment < starts:
        raise IssuerError(
            f"{display_name(certificate)} is not valid before {starts:%Y-%m-%dT%H:%M:%SZ}"
        )


def _issuer_key(key: PrivateKeyTypes) -> IssuerKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise IssuerError(f"the issuer's key must be ECDSA P-256 (or RSA of {_FEWEST_RSA_BITS} bits)")


def _is_strong(key: CertificatePublicKeyTypes) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _FEWEST_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _ANCHOR_CURVES)
    return isinstance(key, ed25519.Ed25519PublicKey)


def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IssuerError(
            f"the key of {display_name(certificate)} cannot be read: {error}"
        ) from error


def _raw(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
