"""What a certificate signing request may ask for: one DNS name, for a key that the sender holds. Pure."""

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

# A request for one name and one P-256 key takes under 1 KB.
MOST_BYTES: Final = 16 * 1024
_SUBJECT_ALTERNATIVE_NAME: Final = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
# The one attribute that carries a request's extensions (PKCS#9).
_EXTENSION_REQUEST: Final = ObjectIdentifier("1.2.840.113549.1.9.14")
_KEY_RULE: Final = "the certificate signing request must be for an ECDSA P-256 key"
# What the library raises, early or late, for bytes that are no request.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parts of a request, each of which has been read to its end."""

    subject: list[tuple[ObjectIdentifier, str | bytes]]
    attributes: list[ObjectIdentifier]
    extensions: x509.Extensions
    key: CertificatePublicKeyTypes
    is_signed: bool


def check_csr(der: bytes, *, identity: str) -> ec.EllipticCurvePublicKey:
    """The key to certify for `identity`, or `RefusedError`: `CSR_BYTES`, `CSR_RULE` or `CSR_KEY`."""
    asked = _read(der)
    if not isinstance(asked.key, ec.EllipticCurvePublicKey):
        kind = type(asked.key).__name__.removesuffix("PublicKey")
        raise RefusedError(Reason.CSR_KEY, f"{_KEY_RULE}, not {kind}")
    if not isinstance(asked.key.curve, ec.SECP256R1):
        raise _forbidden(f"{_KEY_RULE}, not {asked.key.curve.name}")
    if not asked.is_signed:
        raise _forbidden("the certificate signing request is not signed by its own key")
    _check_subject(asked, identity=identity)
    _check_extensions(asked)
    _check_names(asked, identity=identity)
    return asked.key


def _read(der: bytes) -> _Asked:
    if not der:
        raise _unreadable("the request has no certificate signing request")
    if len(der) > MOST_BYTES:
        raise _unreadable(f"the certificate signing request is larger than {MOST_BYTES} bytes")
    if der.startswith(b"-----BEGIN"):
        raise _unreadable("the certificate signing request is PEM: send DER")
    try:
        csr = x509.load_der_x509_csr(der)
        return _Asked(
            subject=[(part.oid, part.value) for part in csr.subject],
            attributes=[attribute.oid for attribute in csr.attributes],
            extensions=csr.extensions,
            key=csr.public_key(),
            is_signed=csr.is_signature_valid,
        )
    except UnsupportedAlgorithm as error:
        raise _forbidden(f"{_KEY_RULE}: {error}") from error
    except _UNREADABLE as error:
        raise _unreadable(
            f"the certificate signing request cannot be read as PKCS#10 in DER: {error}"
        ) from error


def _check_subject(asked: _Asked, *, identity: str) -> None:
    if asked.subject and asked.subject != [(NameOID.COMMON_NAME, identity)]:
        raise _forbidden(
            "the subject of the certificate signing request must be empty,"
            " or a CommonName equal to the identity"
        )


def _check_extensions(asked: _Asked) -> None:
    for oid in asked.attributes:
        if oid != _EXTENSION_REQUEST:
            raise _forbidden(
                f"the certificate signing request has the attribute {oid.dotted_string}: leave it out"
            )
    for extension in asked.extensions:
        if extension.oid != _SUBJECT_ALTERNATIVE_NAME:
            raise _forbidden(
                f"the certificate signing request asks for {_extension_name(extension.oid)}:"
                " it may ask for a subjectAltName only"
            )


def _check_names(asked: _Asked, *, identity: str) -> None:
    names = [
        name
        for extension in asked.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
    ]
    strangers = {type(name).__name__ for name in names if not isinstance(name, x509.DNSName)}
    if strangers:
        raise _forbidden(
            f"the certificate signing request has names other than DNS: {', '.join(sorted(strangers))}"
        )
    if len(names) != 1:
        raise _forbidden(
            f"the certificate signing request must have exactly one DNS name, not {len(names)}"
        )
    if names[0].value != identity:
        raise _forbidden(
            f"the certificate signing request is for {str(names[0].value)[:255]!r},"
            f" not for the requested identity {identity!r}"
        )


def _extension_name(oid: ObjectIdentifier) -> str:
    known = [name for name, value in vars(ExtensionOID).items() if value == oid]
    return known[0].lower().replace("_", " ") if known else f"extension {oid.dotted_string}"


def _unreadable(message: str) -> RefusedError:
    return RefusedError(Reason.CSR_BYTES, message)


def _forbidden(message: str) -> RefusedError:
    return RefusedError(Reason.CSR_RULE, message)
