"""Stat queries with Linkerd's rules: which series count, which rows appear, what is refused."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Key, PortSpec, Workload
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.answers.stat import ListedStats, Row, answer_of
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    StatAsked,
    StatQuery,
    parse_length,
    request_selection,
    tcp_selection,
)
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import Kind, parse_kind
from linkerd2_py.controlplane.public_api.operation import Declaration
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

NS = "emojivoto"
ASKED = Declaration(StatAsked)
Rows = dict[str, Row]


def local_mesh() -> LocalMesh:
    found = LocalMesh()
    pods = [
        Replica(NS, f"{workload}-0", workload, "127.0.1.1", ready=True, status="Running")
        for workload in ("web", "voting", "idle")
    ]
    found.apply(
        services=[
            ServiceSpec(NS, "voting-svc", "voting", (PortSpec("", 80, 80),)),
            ServiceSpec(NS, "idle-svc", "idle", (PortSpec("", 80, 80),)),
        ],
        deployments=[Workload(DEPLOYMENT, NS, name, 1) for name in ("web", "voting", "idle")],
        pods=pods,
    )
    return found


WEB_OUT = f'direction="outbound",dst_namespace="{NS}",dst_service="voting-svc",dst_deployment="voting",dst_pod="voting-0",authority="voting-svc.{NS}.svc.cluster.local:80",tls="disabled"'  # fmt: skip
# What linkerd2-proxy counts of a request for its metrics.
ADMIN_IN = 'direction="inbound",target_port="4191",authority="10.0.0.1:4191",tls="disabled"'
VOTING_IN = f'direction="inbound",authority="voting-svc.{NS}.svc.cluster.local:80",tls="true"'


def exposition(second: int) -> Mapping[str, str]:
    """Every second: voting answers 3 well and 1 badly in 1.5 ms; web has connections alone."""
    web = [
        f'response_total{{{WEB_OUT},classification="success"}} {second * 3}',
        f'response_total{{{WEB_OUT},classification="failure"}} {second}',
        f'tcp_open_connections{{{WEB_OUT},peer="dst"}} 2',
        'tcp_open_connections{direction="inbound",peer="src",tls="disabled"} 5',
        f'tcp_read_bytes_total{{direction="inbound",peer="src"}} {second * 100}',
        f'tcp_write_bytes_total{{direction="inbound",peer="src"}} {second * 200}',
    ]
    voting = [
        f'response_total{{{VOTING_IN},classification="success"}} {second * 3}',
        f'response_total{{{VOTING_IN},classification="failure"}} {second}',
        f'response_total{{{ADMIN_IN},classification="failure"}} {second * 100}',
        f'response_latency_ms_bucket{{{ADMIN_IN},le="1"}} 0',
        f'response_latency_ms_bucket{{{ADMIN_IN},le="+Inf"}} {second * 100}',
        f'tcp_open_connections{{{ADMIN_IN},peer="src"}} 7',
        f'response_latency_ms_bucket{{{VOTING_IN},le="1"}} 0',
        f'response_latency_ms_bucket{{{VOTING_IN},le="2"}} {second * 4}',
        f'response_latency_ms_bucket{{{VOTING_IN},le="+Inf"}} {second * 4}',
    ]
    return {"web": "\n".join(web) + "\n", "voting": "\n".join(voting) + "\n"}


def store() -> SampleStore:
    found = SampleStore()
    for second in range(61):
        for workload, text in exposition(second).items():
            labels = {"namespace": NS, "deployment": workload, "pod": f"{workload}-0"}
            found.append(Key(NS, f"{workload}-0"), labels=labels, text=text, at_ms=second * 1000)
    return found


CLOCK = ManualClock()
CLOCK.advance(60)
STORE = EmbeddedStore(store(), clock=CLOCK)


def query_of(**params: str) -> StatQuery:
    return StatQuery.of(ASKED.read(QueryParams(params)), longest_window_s=600)


async def tables(**params: str) -> dict[str, Rows]:
    found = await answer_of(query_of(**params), metrics=STORE, mesh=local_mesh().mesh)
    return {table["type"]: {row["name"]: row for row in table["rows"]} for table in found["tables"]}


async def rows(**params: str) -> Rows:
    (table,) = (await tables(**params)).values()
    return table


def stats(row: Row) -> ListedStats:
    found = row["stats"]
    assert found is not None
    return found


async def test_plain_stats_are_what_arrived() -> None:
    found = await rows(type="deploy", namespace=NS)
    assert set(found) == {"web", "voting", "idle"}
    voting = stats(found["voting"])
    assert voting["rps"] == pytest.approx(4)
    assert voting["success_rate"] == pytest.approx(0.75)
    assert voting["success"] == pytest.approx(180)
    assert voting["failure"] == pytest.approx(60)
    assert voting["tls_percent"] == pytest.approx(100)
    assert (voting["latency_ms_p50"], voting["latency_ms_p99"]) == (2, 2)


async def test_thing_without_traffic_has_a_row_without_stats() -> None:
    idle = (await rows(type="deploy", name="idle", namespace=NS))["idle"]
    assert idle == {
        "namespace": NS,
        "type": "deployment",
        "name": "idle",
        "status": "",
        "meshed": 1,
        "running": 1,
        "failed": 0,
        "server": "",
        "refused_rps": None,
        "apex": "",
        "leaf": "",
        "weight": "",
        "stats": None,
    }


async def test_connections_alone_are_stats_without_requests() -> None:
    web = stats((await rows(type="deploy", name="web", namespace=NS))["web"])
    assert web["rps"] == 0
    assert web["success_rate"] == 0
    assert web["tls_percent"] is None
    assert web["tcp_open_connections"] == 5
    assert web["tcp_read_bytes_rate"] == pytest.approx(100)
    assert web["tcp_write_bytes_rate"] == pytest.approx(200)


async def test_traffic_to_a_thing_is_by_its_clients() -> None:
    for params in (
        {"to_type": "svc", "to_name": "voting-svc"},
        {"to_type": "deploy", "to_name": "voting"},
        {"to_type": "po", "to_name": "voting-0", "to_namespace": NS},
        {"to_type": "au", "to_name": f"voting-svc.{NS}.svc.cluster.local:80"},
        {"to_type": "ns", "to_name": NS},
        {"to_type": "deploy"},
        {"to_namespace": NS},
    ):
        found = await rows(type="deploy", namespace=NS, **params)
        assert set(found) == {"web"}, params
        assert stats(found["web"])["rps"] == pytest.approx(4)
        assert stats(found["web"])["tcp_open_connections"] == 2
    assert await rows(type="deploy", namespace=NS, to_type="svc", to_name="idle-svc") == {}
    assert await rows(type="deploy", namespace=NS, to_namespace="elsewhere") == {}


async def test_traffic_from_a_thing_is_by_its_servers() -> None:
    found = await tables(type="all", namespace=NS, from_type="deploy", from_name="web")
    assert {kind: set(table) for kind, table in found.items()} == {
        "authority": {f"voting-svc.{NS}.svc.cluster.local:80"},
        "deployment": {"voting"},
        "pod": {"voting-0"},
        "service": {"voting-svc"},
    }
    assert await rows(type="deploy", namespace=NS, from_type="deploy", from_name="idle") == {}


async def test_services_are_seen_by_their_clients() -> None:
    found = await rows(type="svc", namespace=NS)
    assert stats(found["voting-svc"])["success_rate"] == pytest.approx(0.75)
    assert found["voting-svc"]["meshed"] is None
    assert found["idle-svc"]["stats"] is None


async def test_authorities_are_rows_of_their_own() -> None:
    found = await rows(type="au", namespace=NS)
    assert set(found) == {f"voting-svc.{NS}.svc.cluster.local:80"}
    (row,) = found.values()
    assert row["running"] is None
    assert stats(row)["rps"] == pytest.approx(4)


async def test_namespaces_sum_their_pods() -> None:
    found = await rows(type="ns")
    assert found[NS]["running"] == 3
    assert stats(found[NS])["rps"] == pytest.approx(4)
    assert stats(found[NS])["tcp_open_connections"] == 5


async def test_namespaces_have_traffic_to_things_and_namespaces() -> None:
    for params in (
        {"to_type": "deploy", "to_name": "voting", "to_namespace": NS},
        {"to_namespace": NS},
        {"to_type": "ns", "to_name": NS, "to_namespace": "ignored"},
    ):
        found = await rows(type="ns", **params)
        assert stats(found[NS])["rps"] == pytest.approx(4)
    assert await rows(type="ns", to_namespace="elsewhere") == {}


async def test_all_is_a_table_of_each_kind() -> None:
    assert list(await tables(type="all", namespace=NS)) == [
        "authority",
        "deployment",
        "pod",
        "service",
    ]
    to = await tables(type="all", namespace=NS, to_type="svc", to_name="voting-svc")
    assert list(to) == ["authority", "deployment", "pod"]


async def test_other_namespaces_and_names_are_left_out() -> None:
    assert await rows(type="deploy", namespace="elsewhere") == {}
    assert set(await rows(type="deploy", all_namespaces="true", namespace="elsewhere")) == {
        "web",
        "voting",
        "idle",
    }
    assert set(await rows(type="po", name="web-0")) == {"web-0"}


async def test_pods_are_counted_as_linkerd_counts_them() -> None:
    found = local_mesh()
    (pod,) = (pod for pod in found.mesh.pods.values() if pod.name == "idle-0")
    for name, status in (("b", "Pending"), ("c", "Failed"), ("d", "Terminating")):
        found.store.put(replace(pod, name=name, status=status, meshed=False))  # type: ignore[arg-type]
    query = query_of(type="deploy", name="idle")
    (table,) = (await answer_of(query, metrics=STORE, mesh=found.mesh))["tables"]
    (row,) = table["rows"]
    assert (row["meshed"], row["running"], row["failed"]) == (1, 2, 1)


def test_labels_and_groups_are_linkerds() -> None:
    query = query_of(type="deploy", name="voting", namespace=NS, from_type="po", from_name="x")
    selection = request_selection(query, kind=Kind.DEPLOYMENT)
    assert selection.group_by == ("dst_namespace", "dst_deployment")
    assert selection.matching == {
        "pod": "x",
        "namespace": NS,
        "dst_deployment": "voting",
        "dst_namespace": NS,
        "direction": "outbound",
    }
    assert tcp_selection(selection).matching["peer"] == "dst"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "type is missing"),
        ({"type": "sp"}, "unimplemented resource type: serviceprofile"),
        ({"type": "x"}, r"cannot find Kubernetes canonical name from friendly name \[x\]"),
        ({"to_type": "po", "from_type": "po"}, "mutually exclusive"),
        ({"to_type": "all"}, "resource type 'all' is not supported as a filter"),
        ({"to_name": "x"}, "to_name needs to_type"),
        ({"from_type": "au", "from_name": "x"}, "cannot query traffic --from an authority"),
        ({"from_type": "svc"}, "service only supported as a target on 'from' queries"),
        ({"type": "svc", "to_type": "po"}, "service only supported as a target"),
        ({"name": "x", "all_namespaces": "true"}, "by name across all namespaces"),
        ({"window": "1"}, "invalid time window '1'"),
        ({"window": "9" * 299 + "h"}, "longer than 292 years"),
        ({"window": "4.9s"}, "must be from 5s to 600s"),
        ({"window": "0s"}, "must be from 5s to 600s"),
        ({"window": "11m"}, "time window 11m is not kept"),
    ],
)
def test_queries_that_are_refused(params: dict[str, str], message: str) -> None:
    given = {"type": "deploy", **params} if params else {}
    with pytest.raises(InvalidQueryError, match=message):
        query_of(**given)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m", 60), ("1m30s", 90), ("1h", 3600), ("1.5m", 90), ("9500ms", 9.5)],
)
def test_windows_are_go_durations(text: str, seconds: float) -> None:
    assert parse_length(text) == (seconds, text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("deploy", Kind.DEPLOYMENT),
        ("PO", Kind.POD),
        ("authorities", Kind.AUTHORITY),
        ("cj", Kind.CRONJOB),
    ],
)
def test_kinds_have_the_names_of_kubectl(name: str, kind: Kind) -> None:
    assert parse_kind(name) is kind
