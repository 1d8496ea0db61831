"""What the status of a route says, and how it is written beside the words of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.routes import POLICY, Backend, HTTPRoute, HTTPRule
from linkerd2_py.controlplane.mesh.status import CONTROLLER, Parent, ParentStatus
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.routes import status_of_route, wanted_of_route
from tests.support.outbound_shop import WEB, backend, http_route, service

CLUSTER = Cluster()
OUT = Backend(POLICY, "EgressNetwork", "shop", "out")
OLD, NOW = "2020-01-01T00:00:00Z", "2026-11-30T00:00:00Z"
THEIRS: Json = {"controllerName": "example.com/gateway", "parentRef": {"name": "gate"}}


def leading_to(*backends: Backend, parent: Parent = WEB) -> HTTPRoute:
    return replace(http_route(), parents=(parent,), rules=(HTTPRule(backends),))


def mesh() -> MeshStore:
    store = MeshStore()
    store.put(service(), EgressNetwork("shop", "out", allows=True))
    return store


def resolved(route: HTTPRoute) -> str:
    (status,) = wanted_of_route(route, mesh=mesh().mesh, cluster=CLUSTER)
    return status.conditions[1].message or status.conditions[1].reason


def test_the_first_backend_that_is_wrong_is_what_is_said() -> None:
    web, missing = backend("web"), backend("missing")
    bucket = backend("b", group="example.com", kind="Bucket")
    assert resolved(leading_to(web)) == "ResolvedRefs"
    assert resolved(leading_to(web, missing, bucket)) == "BackendNotFound"
    assert resolved(leading_to(web, bucket, missing)) == "InvalidKind"


def test_an_egress_network_is_a_backend_of_its_own_routes_only() -> None:
    assert resolved(leading_to(OUT)) == (
        "EgressNetwork backend needs to be on a route that has an EgressNetwork parent"
    )
    out = Parent(POLICY, "EgressNetwork", "shop", "out", 443)
    assert resolved(leading_to(OUT, parent=out)) == "ResolvedRefs"
    assert resolved(leading_to(replace(OUT, name="other"), parent=out)) == "BackendNotFound"


def test_a_parent_that_is_named_twice_is_spoken_of_once() -> None:
    route = replace(http_route(), parents=(WEB, WEB))
    assert len(wanted_of_route(route, mesh=mesh().mesh, cluster=CLUSTER)) == 1


def status(route: HTTPRoute, parents: list[Json]) -> Json | None:
    found = {"status": {"parents": parents}}
    return status_of_route(route, found, mesh=mesh().mesh, cluster=CLUSTER, now=NOW)


def test_words_of_others_stay_before_ours() -> None:
    written = status(leading_to(backend("web")), [THEIRS])
    assert written
    theirs, ours = written["parents"]
    assert theirs == THEIRS
    assert ours["controllerName"] == CONTROLLER
    assert {one["lastTransitionTime"] for one in ours["conditions"]} == {NOW}


def test_nothing_is_written_where_it_says_that_already() -> None:
    route = leading_to(backend("web"))
    written = status(route, [THEIRS])
    assert written
    for parent in written["parents"][1:]:
        for condition in parent["conditions"]:
            condition["lastTransitionTime"] = OLD
    assert status(route, written["parents"]) is None
    assert status(route, [*reversed(written["parents"])]) is None


def test_what_holds_still_holds_since_then() -> None:
    written = status(leading_to(backend("web")), [])
    assert written
    for condition in written["parents"][0]["conditions"]:
        condition["lastTransitionTime"] = OLD
    again = status(leading_to(backend("missing")), written["parents"])
    assert again
    accepted, resolved_refs = again["parents"][0]["conditions"]
    assert (accepted["lastTransitionTime"], resolved_refs["lastTransitionTime"]) == (OLD, NOW)


def test_ours_go_with_the_parent() -> None:
    ours = status(leading_to(backend("web")), [THEIRS])
    assert ours
    assert status(replace(http_route(), parents=()), ours["parents"]) == {"parents": [THEIRS]}
    assert status(replace(http_route(), parents=()), [THEIRS]) is None


@pytest.mark.parametrize("absurd", [None, 1, [None], [{}], [{"controllerName": CONTROLLER}]])
def test_absurd_statuses_are_written_anew(absurd: object) -> None:
    found = {"status": {"parents": absurd}}
    route = leading_to(backend("web"))
    written = status_of_route(route, found, mesh=mesh().mesh, cluster=CLUSTER, now=NOW)
    assert written
    assert [one for one in written["parents"] if one.get("controllerName") == CONTROLLER]


def test_values_are_equal_where_nothing_is_to_be_written() -> None:
    (wanted,) = wanted_of_route(leading_to(backend("web")), mesh=mesh().mesh, cluster=CLUSTER)
    assert wanted == ParentStatus(WEB, wanted.conditions)
    assert hash(wanted)
