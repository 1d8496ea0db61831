"""Requests and certificates for tests, good ones and every kind of bad one, and what openssl says
about them.
"""

import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

IDENTITY: Final = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
NOW: Final = 1_700_000_000.0
Extension = tuple[x509.ExtensionType, bool]


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def dns_names(*names: str) -> Extension:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def csr(
    key: CertificateIssuerPrivateKeyTypes,
    *,
    extensions: Sequence[Extension] = (dns_names(IDENTITY),),
    subject: x509.Name | None = None,
) -> bytes:
    """In DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or x509.Name([]))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, digest_for(key)).public_bytes(Encoding.DER)


def digest_for(key: CertificateIssuerPrivateKeyTypes) -> hashes.SHA256 | None:
    """Ed25519 hashes by itself."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


class Signer:
    """A certificate authority that makes whatever a test asks for."""

    def __init__(
        self,
        name: str = "root",
        *,
        by: "Signer | None" = None,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        starts: float = NOW - 60,
        lifetime_s: float = 86_400.0 * 365,
        extensions: Sequence[Extension] | None = None,
    ) -> None:
        self.key = key or new_key()
        self.subject = common_name(name)
        signer = by or self
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = certificate_of(
            self.key.public_key(),
            subject=self.subject,
            issuer=signer.subject,
            signing_key=signer.key,
            starts=starts,
            lifetime_s=lifetime_s,
            extensions=[(authority, True)] if extensions is None else extensions,
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_of(
    key: CertificatePublicKeyTypes,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    signing_key: CertificateIssuerPrivateKeyTypes,
    starts: float,
    lifetime_s: float,
    extensions: Sequence[Extension],
) -> x509.Certificate:
    start = datetime.fromtimestamp(starts, UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=lifetime_s))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing_key, digest_for(signing_key))


def openssl(*arguments: str | Path, stdin: bytes = b"") -> str:
    """What openssl writes; AssertionError with both outputs when it fails."""
    run = subprocess.run(
        ["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False
    )
    output = (run.stdout + run.stderr).decode()
    assert run.returncode == 0, output
    return output
