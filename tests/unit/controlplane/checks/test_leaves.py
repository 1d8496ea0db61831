"""The checks of proxies' certificates by their metrics; handshakes with real servers are tested elsewhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.checks.leaves import leaf_checks
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.families import CERTIFICATE_ENDS
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.certificates import IDENTITY, NOW, Signer
from tests.support.local_mesh import LocalMesh

HOUR_S = 3600.0
MATCH = "data plane proxies certificate match CA"
VALID = "data plane proxies certificates are within their validity period"
FRESH = "data plane proxies certificates are refreshed in time"
ROOT = Signer("root")
TRUST = Trust(
    anchors=(ROOT.certificate,),
    chain=(ROOT.certificate,),
    ends=datetime.fromtimestamp(NOW, UTC) + timedelta(days=300),
    leaf_lifetime=timedelta(hours=24),
)
# Its proxy listens nowhere: nothing is asked over the network here.
POD = Replica(
    "shop",
    "web-0",
    "web",
    "127.0.0.1",
    ready=True,
    status="Running",
    started=NOW - HOUR_S,
    identity=IDENTITY,
)


async def found_of(
    pod: Replica, metrics: str, *, trust: Trust = TRUST
) -> dict[str, tuple[str, str]]:
    """Status and message by description, of a mesh of this pod with these metrics."""
    local_mesh, store = LocalMesh(), SampleStore()
    local_mesh.apply(pods=[pod])
    labels = {"namespace": pod.namespace, "pod": pod.name}
    store.append(pod.key, labels=labels, text=metrics, at_ms=0)
    clock = ManualClock(epoch=NOW)
    results = await leaf_checks(
        local_mesh.mesh,
        metrics=EmbeddedStore(store, clock=clock),
        trust=trust,
        clock=clock,
    )
    assert {result.category for result in results} == {"linkerd-identity-data-plane"}
    assert all(bool(result.hint) == (result.status != "ok") for result in results)
    return {result.description: (result.status, result.message) for result in results}


def metrics(left_s: float | None) -> str:
    """Of a proxy whose certificate ends in `left_s`; that has none, if None."""
    expires = "" if left_s is None else f"{CERTIFICATE_ENDS} {NOW + left_s}\n"
    return f"process_start_time_seconds {NOW - HOUR_S}\n{expires}"


async def test_fresh_certificate_is_well() -> None:
    found = await found_of(POD, metrics(24 * HOUR_S))
    assert list(found) == [MATCH, VALID, FRESH]
    assert found[VALID] == found[FRESH] == ("ok", "")


@pytest.mark.parametrize("left_s", [0.0, -1.0, -HOUR_S])
async def test_certificate_that_has_ended_is_an_error(left_s: float) -> None:
    found = await found_of(POD, metrics(left_s))
    ended = datetime.fromtimestamp(NOW + left_s, UTC)
    message = f"1 of 1 pods: shop/web-0 has one that expired on {ended:%Y-%m-%dT%H:%M:%SZ}"
    assert found[VALID] == ("error", message)
    assert found[FRESH] == ("ok", "")


@pytest.mark.parametrize("text", [metrics(None), metrics(-NOW)])
async def test_proxy_without_a_certificate_is_an_error_unless_it_is_new(text: str) -> None:
    found = await found_of(POD, text)
    assert found[VALID] == ("error", "1 of 1 pods: shop/web-0 has no certificate")
    assert (await found_of(replace(POD, started=NOW - 30), text))[VALID] == ("ok", "")


@pytest.mark.parametrize(
    ("left_s", "found"),
    [
        # Until 30 % is left nothing is late, and a retry or two may be.
        (7.2 * HOUR_S, ("ok", "")),
        (4.8 * HOUR_S, ("ok", "")),
        (4.8 * HOUR_S - 1, ("warning", "1 of 1 pods: shop/web-0 has 17279s left")),
        (1, ("warning", "1 of 1 pods: shop/web-0 has 1s left")),
    ],
)
async def test_certificate_that_was_to_be_renewed_is_a_warning(
    left_s: float, found: tuple[str, str]
) -> None:
    assert (await found_of(POD, metrics(left_s)))[FRESH] == found


async def test_certificate_that_ends_with_its_issuer_is_not_late() -> None:
    ends = replace(TRUST, ends=datetime.fromtimestamp(NOW, UTC) + timedelta(hours=1))
    assert (await found_of(POD, metrics(HOUR_S), trust=ends))[FRESH] == ("ok", "")
    assert (await found_of(POD, metrics(HOUR_S - 1), trust=ends))[FRESH][0] == "warning"


async def test_pod_whose_metrics_were_not_read_is_left_to_another_check() -> None:
    assert (await found_of(POD, ""))[VALID] == ("ok", "")


@pytest.mark.parametrize(
    "changes", [{"ready": False}, {"status": "Terminating"}, {"meshed": False}]
)
async def test_only_meshed_pods_that_serve_are_looked_at(changes: dict[str, str | bool]) -> None:
    pod = replace(POD, **changes)  # type: ignore[arg-type]
    found = await found_of(pod, metrics(-HOUR_S))
    assert set(found.values()) == {("ok", "")}


async def test_meshed_pod_without_an_identity_is_one_warning() -> None:
    found = await found_of(replace(POD, identity=""), metrics(None))
    message = "1 of 1 pods: shop/web-0 has no identity: its proxy speaks plain text"
    assert found[MATCH] == ("warning", message)
    assert found[VALID] == found[FRESH] == ("ok", "")
