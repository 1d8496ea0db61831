"""The leaf: read back by the library, and by openssl, which made none of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linkerd2_py.controlplane.identity.certifier import Certified, Validity, certify
from linkerd2_py.controlplane.identity.issuer import Issuer, make_issuer
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from tests.support.certificates import IDENTITY, NOW, Signer, new_key, openssl

ROOT = Signer("root")
BETWEEN = Signer("between", by=ROOT)
LOW = Signer("low", by=BETWEEN)
KEY = new_key()
LONG = f"{'a' * 63}.{'b' * 63}.serviceaccount.identity.linkerd.cluster.local"


def issuer_of(*path: Signer, anchor: Signer = ROOT, now: float = NOW) -> Issuer:
    certificates = [each.certificate for each in path]
    return make_issuer(certificates, key=path[0].key, anchors=[anchor.certificate], now=now)


def certified(
    issuer: Issuer,
    *,
    now: float = NOW,
    identity: str = IDENTITY,
    validity: Validity = Validity(),  # noqa: B008  # never changes
) -> Certified:
    key = KEY.public_key()
    return certify(key, identity=identity, issuer=issuer, now=now, validity=validity)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("identity", [IDENTITY, LONG])
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_verifies_it_for_both_ends(tmp_path: Path, identity: str, purpose: str) -> None:
    made = certified(issuer_of(LOW, BETWEEN), identity=identity)
    (tmp_path / "leaf").write_bytes(pem(made.leaf))
    (tmp_path / "between").write_bytes(b"".join(map(pem, made.intermediates)))
    (tmp_path / "anchor").write_bytes(ROOT.pem)
    words = ["-purpose", purpose, "-attime", str(int(NOW))]
    words += ["-verify_hostname", identity, "-no-CApath", "-no-CAstore"]
    files = ["-CAfile", tmp_path / "anchor", "-untrusted", tmp_path / "between", tmp_path / "leaf"]
    assert "OK" in openssl("verify", *words, *files)


def test_openssl_reads_what_it_says() -> None:
    text = openssl(
        "x509", "-inform", "der", "-noout", "-text", stdin=certified(issuer_of(LOW, BETWEEN)).leaf
    )
    for line in (
        "ecdsa-with-SHA256",
        "Issuer: CN = low",
        "Not Before: Nov 14 22:13:00 2023 GMT",
        "Not After : Nov 15 22:13:40 2023 GMT",
        "NIST CURVE: P-256",
        f"X509v3 Subject Alternative Name: critical\n                DNS:{IDENTITY}\n",
        "CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication\n",
    ):
        assert line in text
    assert "Subject: \n" in text


def test_holds_the_key_and_the_chain_in_order() -> None:
    made = certified(issuer_of(LOW, BETWEEN))
    leaf = x509.load_der_x509_certificate(made.leaf)
    forms = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert leaf.public_key().public_bytes(*forms) == KEY.public_key().public_bytes(*forms)
    chain = [x509.load_der_x509_certificate(der) for der in made.intermediates]
    assert chain == [LOW.certificate, BETWEEN.certificate]


def test_serials_are_random_and_positive() -> None:
    issuer = issuer_of(LOW, BETWEEN)
    serials = {certified(issuer).serial for _ in range(20)}
    assert len(serials) == 20
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials) > 1 << 128
    made = certified(issuer)
    assert x509.load_der_x509_certificate(made.leaf).serial_number == made.serial


def test_lifetime_and_skew_can_be_set() -> None:
    validity = Validity(lifetime=timedelta(minutes=5), clock_skew=timedelta(seconds=3))
    made = certified(issuer_of(LOW, BETWEEN), now=NOW + 0.9, validity=validity)
    leaf = x509.load_der_x509_certificate(made.leaf)
    assert leaf.not_valid_before_utc == at(NOW - 3)
    assert leaf.not_valid_after_utc == made.valid_until == at(NOW + 303)


def test_never_outlives_any_part_of_the_chain() -> None:
    for shortest in range(3):
        lives = [5_000.0 if part == shortest else 9_000.0 for part in range(3)]
        root = Signer("root", starts=NOW, lifetime_s=lives[0])
        between = Signer("between", by=root, starts=NOW, lifetime_s=lives[1])
        low = Signer("low", by=between, starts=NOW, lifetime_s=lives[2])
        issuer = issuer_of(low, between, anchor=root)
        assert certified(issuer).valid_until == at(NOW + 5_000)


def test_issuer_out_of_its_time_signs_nothing() -> None:
    low = Signer("low", by=ROOT, starts=NOW, lifetime_s=100)
    issuer = issuer_of(low)
    assert certified(issuer, now=NOW + 99).valid_until == at(NOW + 100)
    for now in (NOW - 1, NOW + 100):
        with pytest.raises(RefusedError, match="valid from 2023-11-14T22:13:20Z until") as caught:
            certified(issuer, now=now)
        assert caught.value.reason is Reason.ISSUER


def test_rsa_issuer_signs_too() -> None:
    low = Signer("low", by=ROOT, key=rsa.generate_private_key(65537, 2048))
    text = openssl(
        "x509", "-inform", "der", "-noout", "-text", stdin=certified(issuer_of(low)).leaf
    )
    assert "sha256WithRSAEncryption" in text


@pytest.mark.parametrize(("lifetime_s", "skew_s"), [(0, 20), (-1, 20), (60, -1)])
def test_validity_that_makes_no_sense(lifetime_s: int, skew_s: int) -> None:
    with pytest.raises(ValueError, match="must be positive, the skew not negative"):
        Validity(timedelta(seconds=lifetime_s), timedelta(seconds=skew_s))
