"""Certificates as text: what openssl prints of them, but for the bytes of key and signature."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkerd2_py.cli.render.certificate import certificate_text
from linkerd2_py.controlplane.identity.issuer import for_signatures
from tests.support.certificates import (
    NOW,
    Extension,
    certificate_of,
    common_name,
    dns_names,
    new_key,
    openssl,
)
from tests.support.golden import assert_golden

PEM = """\
-----BEGIN CERTIFICATE-----
MIIB9zCCAZ2gAwIBAgIUPfsR1DOgGwWZztVdYiUtjhisyaUwCgYIKoZIzj0EAwIw
KTEnMCUGA1UEAwweaWRlbnRpdHkubGlua2VyZC5jbHVzdGVyLmxvY2FsMB4XDTIz
MTExNDIyMTMwMFoXDTIzMTExNTIyMTM0MFowADBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABGU/8g8FuRBIQbb9Qn5uMD9evvu5ABD5LS6EGQxBkZ/OSICKa4SKMKN6
E6kt7E+f57q077yygiSrIggruVSEnVOjgcswgcgwSQYDVR0RAQH/BD8wPYI7d2Vi
LmVtb2ppdm90by5zZXJ2aWNlYWNjb3VudC5pZGVudGl0eS5saW5rZXJkLmNsdXN0
ZXIubG9jYWwwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0lBBYw
FAYIKwYBBQUHAwEGCCsGAQUFBwMCMB0GA1UdDgQWBBSjyz/5jZHLXagcsJJrPyY6
RSOJezAfBgNVHSMEGDAWgBRamyq2mDnInZZV68IshK/a2l20vzAKBggqhkjOPQQD
AgNIADBFAiA6xXpPMWZdWoCyjzPoFDCmhpkcrXgcs+1PHJw2JAxMUgIhAPQZFk4l
uoZs/DZOyNdVAU0d94yszEHgZ5oCGnXRSK8+
-----END CERTIFICATE-----
"""
NAMES = x509.SubjectAlternativeName(
    [
        x509.UniformResourceIdentifier("spiffe://mesh/web"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.RFC822Name("a@b.example"),
        x509.DNSName("web.example"),
    ]
)
AUTHORITY = (x509.BasicConstraints(ca=True, path_length=1), True)
PURPOSES = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.2.3.4")]
)


def made(key: CertificateIssuerPrivateKeyTypes, *extensions: Extension) -> str:
    certificate = certificate_of(
        key.public_key(),
        subject=common_name("web, of a mesh"),
        issuer=common_name("issuer"),
        signing_key=key,
        starts=NOW,
        lifetime_s=9 * 86_400,
        extensions=extensions,
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def assert_in_order(lines: Sequence[str], *, among: Sequence[str]) -> None:
    rest = iter(among)
    missing = [line for line in lines if line not in rest]
    assert not missing


def test_certificate_of_a_workload() -> None:
    assert_golden("cli/certificate.golden", certificate_text(PEM) + "\n")


@pytest.mark.parametrize(
    "pem",
    [
        PEM,
        made(new_key(), (NAMES, False), (PURPOSES, False), (for_signatures(certificates=False), True)),
        made(rsa.generate_private_key(65537, 2048), AUTHORITY, (for_signatures(certificates=True), True)),
        made(ec.generate_private_key(ec.SECP384R1()), dns_names("a.example", "b.example")),
        made(ec.generate_private_key(ec.SECP521R1()), AUTHORITY),
        made(ed25519.Ed25519PrivateKey.generate(), AUTHORITY),
    ],
    ids=["workload", "names", "rsa", "p384", "p521", "ed25519"],
)  # fmt: skip
def test_lines_are_those_of_openssl(pem: str) -> None:
    text = openssl("x509", "-noout", "-text", "-nameopt", "RFC2253", stdin=pem.encode())
    theirs = [line.rstrip() for line in text.splitlines()]
    assert_in_order(certificate_text(pem).splitlines(), among=theirs)


def test_what_has_no_name_here_is_shown_by_its_number() -> None:
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x04\x01\x2a")
    lines = certificate_text(made(dsa.generate_private_key(2048), (other, True))).splitlines()
    assert "        Signature Algorithm: 2.16.840.1.101.3.4.3.2" in lines
    assert "            Public Key Algorithm: 1.2.840.10040.4.1" in lines
    assert lines[-2:] == ["            1.2.3.4: critical", "                04:01:2a"]
