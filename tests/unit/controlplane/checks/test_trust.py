"""The checks of trust: each kind of trouble seen by the check that is there for it, and by no other."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from linkerd2_py.controlplane.checks.trust import trust_checks
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.trust import Trust
from tests.support.certificates import NOW, Signer, certificate_of

DAY_S = 86_400.0
YEAR_S = 365 * DAY_S
ROOT = Signer("root", lifetime_s=YEAR_S)
ISSUER = Signer("issuer", by=ROOT, lifetime_s=YEAR_S)
WEAK_KEY = rsa.generate_private_key(65537, 1024)

CONFIG = "certificate config is valid"
ANCHORS_CRYPTO = "trust anchors are using supported crypto algorithm"
ANCHORS_TIME = "trust anchors are within their validity period"
ANCHORS_SOON = "trust anchors are valid for at least 60 days"
ISSUER_CRYPTO = "issuer cert is using supported crypto algorithm"
ISSUER_TIME = "issuer cert is within its validity period"
ISSUER_SOON = "issuer cert is valid for at least 60 days"
CONNECTED = "issuer cert is issued by the trust anchor"


def trust(*path: Signer, anchors: Sequence[Signer] = (ROOT,), problem: str = "") -> Trust:
    chain = tuple(each.certificate for each in path or (ISSUER,))
    return Trust(
        anchors=tuple(anchor.certificate for anchor in anchors),
        chain=chain,
        ends=min(each.not_valid_after_utc for each in chain),
        leaf_lifetime=timedelta(hours=24),
        problem=problem,
    )


def troubles(found: Trust, *, now: float = NOW) -> dict[str, tuple[str, str]]:
    """Status and message of what is not well."""
    results = trust_checks(found, now=now)
    assert {result.category for result in results} == {"linkerd-identity"}
    return {
        result.description: (result.status, result.message)
        for result in results
        if result.status != "ok"
    }


def test_all_is_asked_in_linkerds_order() -> None:
    results = trust_checks(trust(), now=NOW)
    assert [result.description for result in results] == [
        *(CONFIG, ANCHORS_CRYPTO, ANCHORS_TIME, ANCHORS_SOON),
        *(ISSUER_CRYPTO, ISSUER_TIME, ISSUER_SOON, CONNECTED),
    ]
    assert {(result.status, result.message, result.hint) for result in results} == {("ok", "", "")}


def test_throw_away_anchors_and_issuers_of_a_local_mesh_are_well_for_ten_months() -> None:
    issuer, _ = throw_away(TrustDomain(), now=NOW)
    made = Trust(issuer.anchors, issuer.chain, issuer.ends, timedelta(hours=24))
    assert troubles(made) == {}
    assert troubles(made, now=NOW + 304 * DAY_S) == {}
    assert set(troubles(made, now=NOW + 306 * DAY_S)) == {ANCHORS_SOON, ISSUER_SOON}


def test_files_that_cannot_be_used_are_an_error() -> None:
    problem = "ca.crt: has no certificates in PEM that can be read"
    assert troubles(trust(problem=problem)) == {CONFIG: ("error", problem)}


def test_weak_anchor_is_an_error() -> None:
    weak = Signer("weak", key=WEAK_KEY, lifetime_s=YEAR_S)
    found = troubles(trust(anchors=[ROOT, weak]))
    assert list(found) == [ANCHORS_CRYPTO]
    status, message = found[ANCHORS_CRYPTO]
    assert status == "error"
    assert message.startswith("the key of 'CN=weak' is not accepted in the mesh: use ECDSA P-256")


def test_weak_issuer_is_an_error() -> None:
    weak = Signer("weak", by=ROOT, key=WEAK_KEY, lifetime_s=YEAR_S)
    assert list(troubles(trust(weak))) == [ISSUER_CRYPTO]


@pytest.mark.parametrize(
    ("starts", "lifetime_s", "check", "status", "fault"),
    [
        (
            NOW - YEAR_S,
            DAY_S,
            ANCHORS_TIME,
            "error",
            "Invalid anchors: {} old not valid anymore. Expired on 2022-11-15T22:13:20Z",
        ),
        (
            NOW + DAY_S,
            YEAR_S,
            ANCHORS_TIME,
            "error",
            "Invalid anchors: {} old not valid before: 2023-11-15T22:13:20Z",
        ),
        (
            NOW - 60,
            60 * DAY_S,
            ANCHORS_SOON,
            "warning",
            "Anchors expiring soon: {} old will expire on 2024-01-13T22:12:20Z",
        ),
    ],
)
def test_time_of_anchors(
    starts: float, lifetime_s: float, check: str, status: str, fault: str
) -> None:
    old = Signer("old", starts=starts, lifetime_s=lifetime_s)
    message = fault.format(old.certificate.serial_number)
    assert troubles(trust(anchors=[ROOT, old])) == {check: (status, message)}


@pytest.mark.parametrize(
    ("starts", "lifetime_s", "check", "status", "message"),
    [
        (
            NOW - DAY_S,
            60,
            ISSUER_TIME,
            "error",
            "issuer certificate is not valid anymore. Expired on 2023-11-13T22:14:20Z",
        ),
        (
            NOW + DAY_S,
            YEAR_S,
            ISSUER_TIME,
            "error",
            "issuer certificate is not valid before: 2023-11-15T22:13:20Z",
        ),
        (
            NOW,
            60 * DAY_S - 1,
            ISSUER_SOON,
            "warning",
            "issuer certificate will expire on 2024-01-13T22:13:19Z",
        ),
    ],
)
def test_time_of_the_issuer(
    starts: float, lifetime_s: float, check: str, status: str, message: str
) -> None:
    issuer = Signer("issuer", by=ROOT, starts=starts, lifetime_s=lifetime_s)
    assert troubles(trust(issuer)) == {check: (status, message)}


def test_sixty_days_are_enough() -> None:
    issuer = Signer("issuer", by=ROOT, starts=NOW, lifetime_s=60 * DAY_S)
    assert troubles(trust(issuer)) == {}


def test_what_stands_between_counts_with_the_issuer() -> None:
    between = Signer("between", by=ROOT, lifetime_s=30 * DAY_S)
    low = Signer("low", by=between, lifetime_s=20 * DAY_S)
    status, message = troubles(trust(low, between))[ISSUER_SOON]
    assert status == "warning"
    assert message == (
        "issuer certificate will expire on 2023-12-04T22:12:20Z; "
        "certificate between above it will expire on 2023-12-14T22:12:20Z"
    )


def test_issuer_below_another_anchor_is_an_error() -> None:
    found = troubles(trust(anchors=[Signer("stranger", lifetime_s=YEAR_S)]))
    assert list(found) == [CONNECTED]
    assert found[CONNECTED][1].startswith("no trust anchor issued 'CN=issuer'")


def test_what_expires_has_a_hint_and_needs_no_common_name() -> None:
    nameless = certificate_of(
        ROOT.key.public_key(),
        subject=x509.Name([]),
        issuer=x509.Name([]),
        signing_key=ROOT.key,
        starts=NOW,
        lifetime_s=DAY_S,
        extensions=[],
    )
    results = trust_checks(replace(trust(), anchors=(nameless, *trust().anchors)), now=NOW)
    (soon,) = (result for result in results if result.status == "warning")
    assert soon.hint.startswith("rotate the anchor")
    assert f"{nameless.serial_number} '(no subject)' will expire on" in soon.message
