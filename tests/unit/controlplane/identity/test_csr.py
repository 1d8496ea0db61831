"""Every rule of a certificate signing request refuses what breaks it, in words."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from linkerd2_py.controlplane.identity.csr import MOST_BYTES, check_csr
from linkerd2_py.controlplane.identity.issuer import for_signatures
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from tests.support.certificates import (
    IDENTITY,
    Extension,
    common_name,
    csr,
    dns_names,
    new_key,
    openssl,
)

KEY = new_key()


def refusal(der: bytes, *, reason: Reason) -> str:
    with pytest.raises(RefusedError) as caught:
        check_csr(der, identity=IDENTITY)
    assert caught.value.reason is reason
    return str(caught.value)


def names(*others: x509.GeneralName) -> Extension:
    return x509.SubjectAlternativeName([x509.DNSName(IDENTITY), *others]), False


@pytest.mark.parametrize("subject", [None, common_name(IDENTITY)])
@pytest.mark.parametrize("critical", [False, True])
def test_a_request_for_one_name_gives_its_key(subject: x509.Name | None, critical: bool) -> None:
    asked = csr(KEY, subject=subject, extensions=[(dns_names(IDENTITY)[0], critical)])
    key = check_csr(asked, identity=IDENTITY)
    assert key.public_numbers() == KEY.public_key().public_numbers()


def test_a_request_of_openssl_is_read() -> None:
    pem = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-keyout", "/dev/null", "-subj", "/", "-addext", f"subjectAltName=DNS:{IDENTITY}",
        "-config", "/dev/stdin", stdin=b"[req]\ndistinguished_name=n\n[n]\n")  # fmt: skip
    request = pem[pem.index("-----BEGIN") :].encode()
    der = x509.load_pem_x509_csr(request).public_bytes(Encoding.DER)
    assert isinstance(check_csr(der, identity=IDENTITY).curve, ec.SECP256R1)
    assert "is PEM: send DER" in refusal(request, reason=Reason.CSR_BYTES)


@pytest.mark.parametrize(
    ("der", "words"),
    [
        (b"", "has no certificate signing request"),
        (b"\x30\x00", "cannot be read as PKCS#10"),
        (csr(KEY)[:-1], "cannot be read as PKCS#10"),
        (csr(KEY) + b"\x00", "cannot be read as PKCS#10"),
        (
            # A bit string where the text of the CommonName belongs.
            csr(KEY, subject=common_name(IDENTITY)).replace(b"\x0c;w", b"\x03;\x00"),
            "cannot be read as PKCS#10",
        ),
        (b"\x30" * (MOST_BYTES + 1), f"larger than {MOST_BYTES} bytes"),
    ],
    ids=["none", "empty", "cut", "longer", "bits", "large"],
)
def test_bytes_that_are_no_request(der: bytes, words: str) -> None:
    assert words in refusal(der, reason=Reason.CSR_BYTES)


@pytest.mark.parametrize(
    ("der", "reason", "words"),
    [
        (csr(ec.generate_private_key(ec.SECP384R1())), Reason.CSR_RULE, "not secp384r1"),
        (csr(ec.generate_private_key(ec.SECP256K1())), Reason.CSR_RULE, "not secp256k1"),
        (csr(rsa.generate_private_key(65537, 2048)), Reason.CSR_KEY, "not RSA"),
        (csr(dsa.generate_private_key(2048)), Reason.CSR_KEY, "not DSA"),
        (csr(ed25519.Ed25519PrivateKey.generate()), Reason.CSR_KEY, "not Ed25519"),
    ],
    ids=["p384", "k256", "rsa", "dsa", "ed25519"],
)
def test_other_keys(der: bytes, reason: Reason, words: str) -> None:
    found = refusal(der, reason=reason)
    assert "must be for an ECDSA P-256 key" in found
    assert words in found


def test_key_type_nobody_knows() -> None:
    # id-ecPublicKey becomes a number that is not assigned.
    der = csr(KEY).replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0202"))
    assert "must be for an ECDSA P-256 key" in refusal(der, reason=Reason.CSR_RULE)


def test_key_that_the_sender_does_not_hold() -> None:
    mine, other = csr(KEY), csr(new_key())
    point = KEY.public_key().public_numbers()
    raw = point.x.to_bytes(32) + point.y.to_bytes(32)
    stolen = x509.load_der_x509_csr(other).public_key()
    assert isinstance(stolen, ec.EllipticCurvePublicKey)
    numbers = stolen.public_numbers()
    der = mine.replace(raw, numbers.x.to_bytes(32) + numbers.y.to_bytes(32))
    assert "not signed by its own key" in refusal(der, reason=Reason.CSR_RULE)


@pytest.mark.parametrize(
    ("extensions", "words"),
    [
        ([], "exactly one DNS name, not 0"),
        ([dns_names(IDENTITY, "other.example")], "exactly one DNS name, not 2"),
        ([dns_names(IDENTITY, IDENTITY)], "exactly one DNS name, not 2"),
        ([dns_names("other.example")], "is for 'other.example', not for the requested"),
        ([dns_names(IDENTITY.upper())], "not for the requested identity"),
        ([dns_names(f"{IDENTITY}.")], "not for the requested identity"),
        ([dns_names(f"{IDENTITY}\0.example")], "not for the requested identity"),
        ([dns_names("*." + IDENTITY.partition(".")[2])], "not for the requested identity"),
        ([names(x509.IPAddress(ipaddress.ip_address("10.0.0.1")))], "other than DNS: IPAddress"),
        ([names(x509.UniformResourceIdentifier("spiffe://a/b"))], "UniformResourceIdentifier"),
        ([names(x509.RFC822Name("a@example.com"))], "other than DNS: RFC822Name"),
        ([names(x509.DirectoryName(common_name("a")))], "other than DNS: DirectoryName"),
        (
            [dns_names(IDENTITY), (x509.BasicConstraints(ca=True, path_length=0), True)],
            "asks for basic constraints",
        ),
        (
            [dns_names(IDENTITY), (x509.BasicConstraints(ca=False, path_length=None), True)],
            "asks for basic constraints",
        ),
        ([dns_names(IDENTITY), (for_signatures(certificates=True), True)], "asks for key usage"),
        (
            [
                dns_names(IDENTITY),
                (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False),
            ],
            "asks for extension 1.2.3.4",
        ),
    ],
)
def test_more_or_less_than_one_dns_name(extensions: list[Extension], words: str) -> None:
    assert words in refusal(csr(KEY, extensions=extensions), reason=Reason.CSR_RULE)


@pytest.mark.parametrize(
    "subject",
    [
        common_name("other"),
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]),
        x509.Name([*common_name(IDENTITY), x509.NameAttribute(NameOID.LOCALITY_NAME, "x")]),
        x509.Name([*common_name(IDENTITY), *common_name(IDENTITY)]),
    ],
)
def test_subject_that_says_more_than_the_name(subject: x509.Name) -> None:
    found = refusal(csr(KEY, subject=subject), reason=Reason.CSR_RULE)
    assert "subject of the certificate signing request must be empty" in found


def test_attribute_beside_the_extensions() -> None:
    der = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(dns_names(IDENTITY)[0], critical=False)
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
        .sign(KEY, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    found = refusal(der, reason=Reason.CSR_RULE)
    assert "has the attribute 1.2.840.113549.1.9.7" in found
    assert "secret" not in found
