"""Which of several limits of a Server holds, and what an egress network's status says beside others."""

from __future__ import annotations

from dataclasses import replace

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import HTTPLocalRateLimitPolicy, Server
from linkerd2_py.controlplane.mesh.routes import Object
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.attachment import ACCEPTED
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.limits import (
    said_of_limit,
    status_of_limit,
    topics_of_limit,
    wanted_of_limit,
)
from linkerd2_py.controlplane.policy.status.networks import status_of_network
from linkerd2_py.controlplane.policy.status.topics import limits_topic, object_topic, topics_of

CLUSTER = Cluster()
SERVER = Server("shop", "http", 80)
OLD = HTTPLocalRateLimitPolicy("shop", "old", "http", created=1)
YOUNG = replace(OLD, name="young", created=2)
NOW = "2026-11-30T00:00:00Z"
FORGOTTEN: Json = {"type": "Seen", "status": "True", "lastTransitionTime": NOW}


def reason(store: MeshStore, limit: HTTPLocalRateLimitPolicy) -> str:
    (condition,) = wanted_of_limit(limit, mesh=store.mesh, cluster=CLUSTER)
    assert condition.holds == (condition == ACCEPTED)
    return condition.reason


def test_the_oldest_limit_of_a_server_holds() -> None:
    store = MeshStore()
    store.put(OLD, YOUNG)
    assert reason(store, OLD) == "NoMatchingTarget"
    store.put(SERVER)
    assert reason(store, OLD) == "Accepted"
    assert reason(store, YOUNG) == "RateLimitReasonAlreadyExists"
    store.remove(HTTPLocalRateLimitPolicy, key=OLD.key)
    assert reason(store, YOUNG) == "Accepted"


def test_of_the_same_age_the_first_by_name_holds() -> None:
    store = MeshStore()
    store.put(SERVER, replace(OLD, name="b"), replace(OLD, name="a"))
    assert reason(store, replace(OLD, name="a")) == "Accepted"
    assert reason(store, replace(OLD, name="b")) == "RateLimitReasonAlreadyExists"


def test_what_limits_no_server_is_left_as_it_is() -> None:
    limit = replace(OLD, server="", conditions=(ACCEPTED,))
    wanted = wanted_of_limit(limit, mesh=MeshStore().mesh, cluster=CLUSTER)
    assert wanted == said_of_limit(limit)


def test_the_status_names_the_server_beside_conditions_of_others() -> None:
    store = MeshStore()
    store.put(SERVER, OLD)

    def status(conditions: list[Json]) -> Json | None:
        found = {"status": {"conditions": conditions}}
        return status_of_limit(OLD, found, mesh=store.mesh, cluster=CLUSTER, now=NOW)

    written = status([FORGOTTEN])
    assert written
    assert written["targetRef"] == {"group": "policy.linkerd.io", "kind": "Server", "name": "http"}
    assert [one["type"] for one in written["conditions"]] == ["Seen", "Accepted"]
    assert status(written["conditions"]) is None


def test_an_egress_network_keeps_conditions_of_others() -> None:
    network = EgressNetwork("shop", "out", allows=True)
    found = {"status": {"conditions": [FORGOTTEN]}}
    written = status_of_network(network, found, mesh=MeshStore().mesh, cluster=CLUSTER, now=NOW)
    assert written
    assert [one["type"] for one in written["conditions"]] == ["Seen", "Accepted"]
    again = {"status": written}
    assert not status_of_network(network, again, mesh=MeshStore().mesh, cluster=CLUSTER, now=NOW)


def test_limits_depend_on_their_server_and_on_each_other() -> None:
    http = Key("shop", "http")
    topics = {object_topic(Object("Server", *http)), limits_topic(http)}
    assert set(topics_of_limit(OLD)) == topics
    assert topics_of([Change(None, OLD)]) == {limits_topic(http)}
    moved = replace(OLD, server="other")
    assert topics_of([Change(OLD, moved)]) == {
        limits_topic(http),
        limits_topic(Key("shop", "other")),
    }
    assert topics_of([Change(OLD, replace(OLD, conditions=(ACCEPTED,), total=5))]) == frozenset()
