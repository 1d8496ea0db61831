"""Edges: one for each way in which two things are connected, with who each of them is."""

from collections.abc import Mapping

import pytest

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.answers.edges import (
    Edge,
    Ends,
    find_edges,
    parse_edge_kind,
)
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import WORKLOADS, Kind
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

NS = "emojivoto"
PLAIN = 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'
UNSECURED = "Not Provided By Service Discovery"
NOW_S = 10.0


def identity(name: str, namespace: str = NS) -> str:
    return f"{name}.{namespace}.serviceaccount.identity.linkerd.cluster.local"


def mesh(*extra: Replica) -> Mesh:
    found = LocalMesh()
    pods = [
        Replica(NS, f"{workload}-0", workload, "127.0.1.1", identity=identity(workload))
        for workload in ("web", "voting", "bot")
    ]
    found.apply(services=[], deployments=[], pods=[*pods, *extra])
    return found.mesh


def connection(
    to: str, *, labels: str, count: int = 1, namespace: str = NS, direction: str = "outbound"
) -> str:
    ends = f'dst_namespace="{namespace}",dst_deployment="{to}",dst_pod="{to}-0"'
    head = f'direction="{direction}",peer="dst",target_port="{count}"'
    return f"tcp_open_connections{{{head},{ends},{labels}}} {count}"


def secured(to: str, namespace: str = NS) -> str:
    return f'tls="true",server_id="{identity(to, namespace)}"'


async def found(
    lines: Mapping[str, list[str]],
    *,
    kind: Kind = Kind.DEPLOYMENT,
    namespace: str = NS,
    pods: tuple[Replica, ...] = (),
) -> list[Edge]:
    """The edges that the metrics of some workloads' first pods make."""
    store = SampleStore()
    for workload, its in lines.items():
        pod = Key(NS, f"{workload}-0")
        labels = {"namespace": NS, "deployment": workload, "pod": pod.name}
        store.append(pod, labels=labels, text="\n".join(its) + "\n", at_ms=9000)
    clock = ManualClock()
    clock.advance(NOW_S)
    metrics = EmbeddedStore(store, clock=clock)
    return await find_edges(Ends(kind, namespace), metrics=metrics, mesh=mesh(*pods))


async def test_secured_edge_says_who_both_are() -> None:
    lines = [connection("voting", labels=secured("voting"), count=count) for count in (1, 2)]
    assert await found({"web": lines}) == [
        Edge(NS, NS, "web", "voting", identity("web"), identity("voting"), "")
    ]


async def test_edges_between_pods_are_of_pods() -> None:
    lines = [connection("voting", labels=secured("voting"))]
    (edge,) = await found({"web": lines}, kind=Kind.POD)
    assert (edge.src, edge.dst) == ("web-0", "voting-0")
    assert edge.listed(Kind.POD) == {
        "src": {"namespace": NS, "type": "pod", "name": "web-0"},
        "dst": {"namespace": NS, "type": "pod", "name": "voting-0"},
        "client_id": identity("web"),
        "server_id": identity("voting"),
        "no_identity_msg": "",
    }


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (PLAIN, UNSECURED),
        ('tls="no_identity",no_tls_reason="loopback"', "Loopback"),
        ('tls="no_identity",no_tls_reason="not_http"', "Not HTTP"),
        ('tls="no_identity",no_tls_reason="no_tls_from_remote"', "No TLS From Remote"),
        ('tls="disabled"', "Disabled"),
        ('authority="x"', "No Identity"),
        # A name that was not proved is none.
        (f'tls="no_identity",server_id="{identity("voting")}"', "No Identity"),
    ],
)
async def test_edge_that_is_not_secured_says_why(labels: str, message: str) -> None:
    (edge,) = await found({"web": [connection("voting", labels=labels)]})
    assert edge.no_identity_msg == message


async def test_partly_secured_edge_is_not_shown_as_secured_only() -> None:
    lines = [connection("voting", labels=labels) for labels in (secured("voting"), PLAIN)]
    assert [edge.no_identity_msg for edge in await found({"web": lines})] == [UNSECURED, ""]


async def test_only_open_connections_that_proxies_made_to_the_mesh_are_edges() -> None:
    lines = [
        connection("voting", labels=secured("voting"), count=0),
        connection("voting", labels=secured("voting"), direction="inbound"),
        connection("", labels=PLAIN),
        'tcp_open_connections{direction="outbound",peer="src",tls="no_identity"} 3',
        f'tcp_open_total{{direction="outbound",dst_deployment="voting",{PLAIN}}} 3',
    ]
    assert await found({"web": lines}) == []


async def test_edges_have_an_end_in_the_namespace_and_are_sorted() -> None:
    lines = {
        "web": [
            connection("voting", labels=secured("voting")),
            connection("cart", labels=secured("cart", "shop"), namespace="shop"),
        ],
        "bot": [connection("web", labels=secured("web"))],
    }
    everywhere = [(edge.src, edge.dst) for edge in await found(lines, namespace="")]
    assert everywhere == [("bot", "web"), ("web", "voting"), ("web", "cart")]
    assert await found(lines, namespace=NS) == await found(lines, namespace="")
    assert [edge.dst for edge in await found(lines, namespace="shop")] == ["cart"]
    assert await found(lines, namespace="elsewhere") == []


async def test_pod_that_is_gone_has_no_edges() -> None:
    lines = {"late": [connection("voting", labels=secured("voting"))]}
    assert await found(lines) == []
    here = await found(lines, pods=(Replica(NS, "late-0", "late", "127.0.1.9"),))
    assert [edge.client_id for edge in here] == [""]


@pytest.mark.parametrize("name", ["deploy", "deployments", "sts", "ds", "cj", "po"])
def test_edges_are_between_workloads_or_pods(name: str) -> None:
    assert parse_edge_kind(name) in {*WORKLOADS, Kind.POD}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svc", "resource type is not supported: service; use deploy or po"),
        ("au", "resource type is not supported: authority"),
        ("ns", "resource type is not supported: namespace"),
        ("all", "resource type is not supported: all"),
        ("sp", "unimplemented resource type: serviceprofile"),
        ("x", "cannot find Kubernetes canonical name"),
    ],
)
def test_kinds_that_have_no_edges(name: str, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        parse_edge_kind(name)
