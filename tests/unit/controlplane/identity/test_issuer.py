"""What may sign: paths of certificates, good and bad, by a clock that stands still."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.issuer import (
    LONGEST_PATH,
    Issuer,
    for_signatures,
    make_issuer,
)
from tests.support.certificates import NOW, Signer

ROOT = Signer("root")
ISSUER = Signer("issuer", by=ROOT)
DAY_S = 86_400.0


def issuer_of(
    *path: Signer, anchors: Sequence[Signer] = (ROOT,), now: float = NOW, key: Signer | None = None
) -> Issuer:
    certificates = [each.certificate for each in path]
    trusted = [anchor.certificate for anchor in anchors]
    return make_issuer(certificates, key=(key or path[0]).key, anchors=trusted, now=now)


def problem(
    *path: Signer, anchors: Sequence[Signer] = (ROOT,), now: float = NOW, key: Signer | None = None
) -> str:
    with pytest.raises(IssuerError) as caught:
        issuer_of(*path, anchors=anchors, now=now, key=key)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def authority(depth: int | None) -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=True, path_length=depth), True


def test_issuer_below_an_anchor() -> None:
    issuer = issuer_of(ISSUER, anchors=[Signer("other"), ROOT])
    assert issuer.chain == (ISSUER.certificate,)
    assert issuer.anchors[1] == ROOT.certificate
    assert issuer.name == "'CN=issuer'"


def test_certificates_between_go_along_and_the_anchor_does_not() -> None:
    between = Signer("between", by=ROOT)
    low = Signer("low", by=between)
    issuer = issuer_of(low, between, ROOT)
    assert issuer.chain == (low.certificate, between.certificate)


def test_path_lives_while_all_of_it_does() -> None:
    early = Signer("between", by=ROOT, starts=NOW - 10, lifetime_s=DAY_S)
    low = Signer("low", by=early, starts=NOW - 30, lifetime_s=7 * DAY_S)
    issuer = issuer_of(low, early)
    assert issuer.starts == datetime.fromtimestamp(NOW - 10, UTC)
    assert issuer.ends == datetime.fromtimestamp(NOW - 10 + DAY_S, UTC)


def test_anchor_may_sign_itself() -> None:
    issuer = issuer_of(ROOT)
    assert issuer.chain == (ROOT.certificate,)


def test_of_an_anchor_and_its_renewal_the_longer_counts() -> None:
    old = Signer("root", key=ROOT.key, starts=NOW - DAY_S, lifetime_s=DAY_S / 2)
    new = Signer("root", key=ROOT.key, starts=NOW - 60, lifetime_s=9 * DAY_S)
    future = Signer("root", key=ROOT.key, starts=NOW + 60, lifetime_s=900 * DAY_S)
    issuer = issuer_of(ISSUER, anchors=[old, new, future])
    assert issuer.ends == new.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa", "p384", "ed25519"],
)
def test_anchors_of_other_kinds(key: rsa.RSAPrivateKey) -> None:
    anchor = Signer("root", key=key)
    assert issuer_of(Signer("issuer", by=anchor), anchors=[anchor]).chain


def test_issuer_with_an_rsa_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert issuer_of(Signer("issuer", by=ROOT, key=key)).key is key


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "the issuer's key must be ECDSA P-256"),
        (ed25519.Ed25519PrivateKey.generate(), "the issuer's key must be ECDSA P-256"),
        (rsa.generate_private_key(65537, 1024), "is not accepted in the mesh"),
    ],
    ids=["p384", "ed25519", "rsa1024"],
)
def test_issuer_keys_that_are_not_accepted(key: rsa.RSAPrivateKey, words: str) -> None:
    assert words in problem(Signer("issuer", by=ROOT, key=key))


def test_anchor_with_a_key_that_is_not_accepted() -> None:
    anchor = Signer("root", key=dsa.generate_private_key(2048))
    found = problem(Signer("issuer", by=anchor), anchors=[anchor])
    assert "the key of 'CN=root' is not accepted" in found


def test_key_of_another_certificate() -> None:
    assert "not the one of the issuer certificate 'CN=issuer'" in problem(ISSUER, key=ROOT)


def test_anchor_of_the_same_name_that_did_not_sign() -> None:
    found = problem(ISSUER, anchors=[Signer("root")])
    assert "no trust anchor issued 'CN=issuer'" in found


def test_certificates_in_the_wrong_order() -> None:
    between = Signer("between", by=ROOT)
    low = Signer("low", by=Signer("unknown", by=between))
    assert "'CN=low' was not issued by 'CN=between', which follows it" in problem(low, between)


def test_path_that_is_too_long() -> None:
    path = [Signer("a0", by=ROOT)]
    for number in range(1, LONGEST_PATH + 1):
        path.insert(0, Signer(f"a{number}", by=path[0]))
    assert issuer_of(*path[1:]).chain
    assert "no trust anchor issued" in problem(*path)


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        [(x509.BasicConstraints(ca=False, path_length=None), True)],
        [authority(None), (for_signatures(certificates=False), True)],
    ],
)
def test_issuer_that_may_not_sign(extensions: list[tuple[x509.ExtensionType, bool]]) -> None:
    below = Signer("issuer", by=ROOT, extensions=extensions)
    assert "'CN=issuer' is not a certificate authority" in problem(below)
    anchor = Signer("top", extensions=extensions)
    found = problem(Signer("issuer", by=anchor), anchors=[anchor])
    assert "'CN=top' is not a certificate authority" in found


def test_depth_that_an_authority_allows() -> None:
    shallow = Signer("top", extensions=[authority(1)])
    between = Signer("between", by=shallow, extensions=[authority(0)])
    assert issuer_of(between, anchors=[shallow]).chain
    low = Signer("low", by=between)
    found = problem(low, between, anchors=[shallow])
    assert "'CN=between' allows 0 authorities below it, not 1" in found


def test_extensions_that_cannot_be_read() -> None:
    bad = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.19"), b"\x30\x09")
    below = Signer("issuer", by=ROOT, extensions=[(bad, True)])
    assert "'CN=issuer' has extensions that cannot be read" in problem(below)


def test_expired_and_early_certificates() -> None:
    anchor = Signer("root", starts=NOW, lifetime_s=2 * DAY_S)
    below = Signer("issuer", by=anchor, starts=NOW, lifetime_s=DAY_S)
    for now in (NOW, NOW + DAY_S - 1):
        assert issuer_of(below, anchors=[anchor], now=now).chain
    early = problem(below, anchors=[anchor], now=NOW - 1)
    assert "'CN=issuer' is not valid before 2023-11-14T22:13:20Z" in early
    late = problem(below, anchors=[anchor], now=NOW + DAY_S)
    assert "'CN=issuer' expired at 2023-11-15T22:13:20Z: renew it" in late
    longer = Signer("issuer", by=anchor, starts=NOW, lifetime_s=9 * DAY_S)
    found = problem(longer, anchors=[anchor], now=NOW + 2 * DAY_S)
    assert "'CN=root' expired at" in found
