"""A certificate as text, in the layout of `openssl x509 -text`, without the bytes of key and signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

_SIGNATURES: Final = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "ecdsa-with-SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "ecdsa-with-SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "ecdsa-with-SHA512",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "sha256WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "sha384WithRSAEncryption",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "sha512WithRSAEncryption",
    SignatureAlgorithmOID.ED25519: "ED25519",
}
_PURPOSES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS Web Server Authentication",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS Web Client Authentication",
}
_USAGES: Final = {
    "digital_signature": "Digital Signature",
    "content_commitment": "Non Repudiation",
    "key_encipherment": "Key Encipherment",
    "data_encipherment": "Data Encipherment",
    "key_agreement": "Key Agreement",
    "key_cert_sign": "Certificate Sign",
    "crl_sign": "CRL Sign",
}
_NAMES: Final[dict[type, str]] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP Address",
    x509.RFC822Name: "email",
}
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def certificate_text(pem: str) -> str:
    """Lines without trailing blanks."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    lines = [
        "Certificate:",
        "    Data:",
        f"        Version: {certificate.version.value + 1} ({certificate.version.value:#x})",
        "        Serial Number:",
        f"            {_hex(_number(certificate.serial_number))}",
        f"        Signature Algorithm: {_named(certificate.signature_algorithm_oid, _SIGNATURES)}",
        f"        Issuer: {certificate.issuer.rfc4514_string()}",
        "        Validity",
        f"            Not Before: {_moment(certificate.not_valid_before_utc)}",
        f"            Not After : {_moment(certificate.not_valid_after_utc)}",
        f"        Subject: {certificate.subject.rfc4514_string()}",
        "        Subject Public Key Info:",
        *(f"            {line}" for line in _key(certificate)),
        "        X509v3 extensions:",
        *(f"            {line}" for each in certificate.extensions for line in _extension(each)),
    ]
    return "\n".join(line.rstrip() for line in lines)


def _key(certificate: x509.Certificate) -> Iterator[str]:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        yield "Public Key Algorithm: id-ecPublicKey"
        yield f"    Public-Key: ({key.key_size} bit)"
        yield f"    NIST CURVE: {_CURVES.get(key.curve.name, key.curve.name)}"
    elif isinstance(key, rsa.RSAPublicKey):
        yield "Public Key Algorithm: rsaEncryption"
        yield f"    Public-Key: ({key.key_size} bit)"
    elif isinstance(key, ed25519.Ed25519PublicKey):
        yield "Public Key Algorithm: ED25519"
    else:
        yield f"Public Key Algorithm: {certificate.public_key_algorithm_oid.dotted_string}"


def _extension(extension: x509.Extension[Any]) -> Iterator[str]:
    title, text = _EXTENSIONS.get(type(extension.value), (extension.oid.dotted_string, _unknown))
    yield f"{title}: {'critical' if extension.critical else ''}"
    yield f"    {text(extension.value)}"


def _alternative_names(value: x509.SubjectAlternativeName) -> str:
    return ", ".join(
        f"{_NAMES.get(type(name), type(name).__name__)}:{name.value}" for name in value
    )


def _constraints(value: x509.BasicConstraints) -> str:
    depth = "" if value.path_length is None else f", pathlen:{value.path_length}"
    return f"CA:{str(value.ca).upper()}{depth}"


def _usage(value: x509.KeyUsage) -> str:
    return ", ".join(text for name, text in _USAGES.items() if getattr(value, name))


def _purposes(value: x509.ExtendedKeyUsage) -> str:
    return ", ".join(_named(purpose, _PURPOSES) for purpose in value)


def _unknown(value: x509.ExtensionType) -> str:
    return _hex(value.public_bytes())


_EXTENSIONS: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    x509.SubjectAlternativeName: ("X509v3 Subject Alternative Name", _alternative_names),
    x509.BasicConstraints: ("X509v3 Basic Constraints", _constraints),
    x509.KeyUsage: ("X509v3 Key Usage", _usage),
    x509.ExtendedKeyUsage: ("X509v3 Extended Key Usage", _purposes),
    x509.SubjectKeyIdentifier: (
        "X509v3 Subject Key Identifier",
        lambda it: _hex(it.digest).upper(),
    ),
    x509.AuthorityKeyIdentifier: (
        "X509v3 Authority Key Identifier",
        lambda it: _hex(it.key_identifier or b"").upper(),
    ),
}


def _named(oid: x509.ObjectIdentifier, names: dict[x509.ObjectIdentifier, str]) -> str:
    return names.get(oid, oid.dotted_string)


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def _hex(content: bytes) -> str:
    return content.hex(":")


def _moment(time: datetime) -> str:
    return f"{time:%b} {time.day:2} {time:%H:%M:%S %Y} GMT"
