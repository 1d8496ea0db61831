"""Generated anchors and issuers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from linkerd2_py.controlplane.identity.ca import make_anchor, make_issuer_below, throw_away
from linkerd2_py.controlplane.identity.certifier import Validity, certify
from linkerd2_py.controlplane.identity.names import TrustDomain
from tests.support.certificates import IDENTITY, NOW, new_key, openssl

DOMAIN = TrustDomain()


def test_openssl_accepts_the_issuer_and_what_it_may_do(tmp_path: Path) -> None:
    anchor = make_anchor(DOMAIN, now=NOW)
    issuer = make_issuer_below(anchor, DOMAIN, now=NOW)
    (tmp_path / "anchor").write_bytes(anchor.certificate_pem)
    (tmp_path / "issuer").write_bytes(issuer.certificate_pem)
    words = ["-x509_strict", "-attime", str(int(NOW)), "-verify_hostname", DOMAIN.issuer_name]
    assert "OK" in openssl("verify", *words, "-CAfile", tmp_path / "anchor", tmp_path / "issuer")
    text = openssl("x509", "-noout", "-text", "-in", tmp_path / "issuer")
    assert "CA:TRUE, pathlen:0" in text
    assert "Certificate Sign, CRL Sign\n" in text
    assert "Subject: CN = identity.linkerd.cluster.local" in text
    assert "Issuer: CN = root.linkerd.cluster.local" in text


def test_keys_are_those_of_the_certificates() -> None:
    anchor = make_anchor(DOMAIN, now=NOW)
    key = load_pem_private_key(anchor.key_pem, password=None)
    assert key.public_key() == anchor.certificate.public_key()
    assert x509.load_pem_x509_certificate(anchor.certificate_pem) == anchor.certificate


def test_issuer_never_outlives_its_anchor() -> None:
    anchor = make_anchor(DOMAIN, now=NOW, lifetime=timedelta(hours=1))
    issuer = make_issuer_below(anchor, DOMAIN, now=NOW + 600, lifetime=timedelta(hours=2))
    assert issuer.certificate.not_valid_after_utc == datetime.fromtimestamp(NOW + 3_620, UTC)


def test_throw_away_issuer_signs_for_those_who_trust_its_anchor(tmp_path: Path) -> None:
    issuer, anchor_pem = throw_away(DOMAIN, now=NOW)
    key = new_key().public_key()
    made = certify(key, identity=IDENTITY, issuer=issuer, now=NOW, validity=Validity())
    (tmp_path / "anchor").write_bytes(anchor_pem)
    (tmp_path / "leaf").write_text(openssl("x509", "-inform", "der", stdin=made.leaf))
    (tmp_path / "issuer").write_text(openssl("x509", "-inform", "der", stdin=made.intermediates[0]))
    files = ["-CAfile", tmp_path / "anchor", "-untrusted", tmp_path / "issuer", tmp_path / "leaf"]
    assert "OK" in openssl("verify", "-x509_strict", "-attime", str(int(NOW)), *files)
