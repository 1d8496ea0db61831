"""What proxies saw on one side: stat of policies, splits, stat-inbound, stat-outbound and authz."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import AuthorizationPolicy, Server, ServerAuthorization
from linkerd2_py.controlplane.mesh.routes import Backend, HTTPRoute, HTTPRule
from linkerd2_py.controlplane.mesh.service_profiles import Override, ServiceProfile
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore
from linkerd2_py.controlplane.public_api.answers.splits import service_of
from linkerd2_py.controlplane.public_api.answers.stat import stat
from linkerd2_py.controlplane.public_api.answers.stat_inbound import authz, stat_inbound
from linkerd2_py.controlplane.public_api.answers.stat_outbound import stat_outbound
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.operation import Operation
from tests.support.samples import histogram, metrics_of

NS = "shop"
SRV = 'srv_kind="server",srv_name="web-http"'
VOTES = f'{SRV},route_kind="HTTPRoute",route_name="votes"'
BY_POLICY = f'{VOTES},authz_kind="authorizationpolicy",authz_name="friends"'
BY_SAZ = f'{SRV},route_kind="default",route_name="default",authz_kind="serverauthorization",authz_name="all"'
PROBE = f'{SRV},route_kind="default",route_name="probe",authz_kind="default",authz_name="probe"'
APEX = f"web-svc.{NS}.svc.cluster.local:80"


def _web(second: int) -> Iterator[str]:
    inbound = 'direction="inbound",target_port="8080"'
    for labels, outcome, count in (
        (BY_POLICY, "success", 3),
        (BY_POLICY, "failure", 1),
        (BY_SAZ, "success", 2),
        (PROBE, "success", 50),
    ):
        yield f'response_total{{{inbound},{labels},classification="{outcome}"}} {second * count}'
    yield from histogram(
        "response_latency_ms", f"{inbound},{BY_POLICY}", second * 4, bounds=("1", "2")
    )
    yield f"inbound_http_authz_deny_total{{{VOTES}}} {second * 5}"
    yield f'tcp_open_connections{{direction="inbound",peer="src",{SRV}}} 6'


def _client(second: int) -> Iterator[str]:
    for leaf, count in (("web-v1", 9), ("web-v2", 1)):
        labels = (
            f'direction="outbound",authority="{APEX}",dst_namespace="{NS}",dst_service="{leaf}"'
        )
        yield f'response_total{{{labels},classification="success"}} {second * count}'
    for protocol, code, failing, error in (
        ("http", "200", "503", "REQUEST_TIMEOUT"),
        ("grpc", "OK", "UNAVAILABLE", ""),
    ):
        yield from _routes(second, protocol, {code: "", failing: error})


def _routes(second: int, protocol: str, codes: Mapping[str, str]) -> Iterator[str]:
    family = f"outbound_{protocol}_route"
    route = f'parent_name="{protocol}-svc",parent_port="80",route_kind="HTTPRoute",route_name="r"'
    backend = f'{route},backend_name="{protocol}-v1",backend_port="8080"'
    for code, error in codes.items():
        status = f'{protocol}_status="{code}",error="{error}"'
        yield f"{family}_request_statuses_total{{{route},{status}}} {second}"
        yield f"{family}_backend_response_statuses_total{{{backend},{status}}} {second * 2}"
    durations = f"{family}_request_duration_seconds"
    yield from histogram(durations, route, second * 2, bounds=("0.01", "0.03"))
    if protocol == "http":
        yield f"{family}_retry_requests_total{{{route}}} {second * 2}"


METRICS = metrics_of(NS, {"web-0": _web, "client-0": _client})


def a_mesh() -> Mesh:
    store = MeshStore()
    store.replace(
        {
            Server: [Server(NS, "web-http", 8080, labels={"app": "web"}), Server(NS, "idle", 1)],
            ServerAuthorization: [ServerAuthorization(NS, "all", "web-http")],
            AuthorizationPolicy: [AuthorizationPolicy(NS, "friends", None)],
            HTTPRoute: [
                HTTPRoute(group="policy.linkerd.io", namespace=NS, name="votes"),
                HTTPRoute(
                    namespace=NS,
                    name="canary",
                    parents=(Parent("core", "Service", NS, "api-svc"),),
                    rules=(HTTPRule(tuple(_backend(f"api-v{n}", n) for n in (1, 2))),),
                ),
            ],
            ServiceProfile: [
                ServiceProfile(
                    NS,
                    f"web-svc.{NS}.svc.cluster.local",
                    overrides=(
                        Override(f"web-v1.{NS}.svc.cluster.local", 9000),
                        Override(f"web-v2.{NS}.svc.cluster.local:80", 1000),
                        Override("no.service.at.all", 1000),
                    ),
                )
            ],
        }
    )
    return store.mesh


def _backend(name: str, weight: int) -> Backend:
    return Backend("core", "Service", NS, name, 80, weight)


async def rows(operation: Operation[Any], **params: str) -> list[dict[str, Any]]:
    asked = operation.declaration.read(QueryParams({"namespace": NS, **params}))
    found: Any = await operation.run(asked)
    return list(found["tables"][0]["rows"] if "tables" in found else found["rows"])


async def stats(**params: str) -> list[dict[str, Any]]:
    return await rows(stat(a_mesh(), metrics=METRICS), **params)


async def test_a_server_has_what_it_let_in_and_what_it_refused() -> None:
    idle, web = await stats(type="srv")
    assert (idle["name"], idle["stats"], idle["refused_rps"]) == ("idle", None, None)
    assert web["stats"]["rps"] == pytest.approx(6)
    assert web["refused_rps"] == pytest.approx(5)
    assert web["stats"]["tcp_open_connections"] == 6
    assert [row["name"] for row in await stats(type="server", selector="app=web")] == ["web-http"]


async def test_authorizations_have_what_they_let_in() -> None:
    (friends,) = await stats(type="ap")
    assert friends["stats"]["success_rate"] == pytest.approx(0.75)
    assert (friends["refused_rps"], friends["stats"]["latency_ms_p50"]) == (None, 2)
    (everybody,) = await stats(type="serverauthz", name="all")
    assert everybody["stats"]["rps"] == pytest.approx(2)


async def test_a_route_has_its_server() -> None:
    canary, votes = await stats(type="httproute")
    assert (canary["name"], canary["stats"]) == ("canary", None)
    assert (votes["server"], votes["refused_rps"]) == ("web-http", pytest.approx(5))
    assert votes["stats"]["rps"] == pytest.approx(4)


async def test_a_split_has_a_row_for_each_leaf() -> None:
    shown = [
        (row["name"], row["apex"], row["leaf"], row["weight"]) for row in await stats(type="ts")
    ]
    assert shown == [
        ("canary", "api-svc", "api-v1", "1"),
        ("canary", "api-svc", "api-v2", "2"),
        ("web-svc", "web-svc", "web-v1", "900m"),
        ("web-svc", "web-svc", "web-v2", "100m"),
    ]
    client = {"from_type": "deploy", "from_name": "client"}
    taken = await stats(type="trafficsplit", **client)
    assert {row["leaf"]: row["stats"]["rps"] for row in taken} == pytest.approx(
        {"web-v1": 9, "web-v2": 1}
    )


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"type": "srv", "from_type": "deploy"}, "not supported with policy resources"),
        ({"type": "deploy", "to_type": "ap"}, "not supported with policy resources"),
        ({"type": "ts", "to_type": "deploy"}, "only supported as a target"),
        ({"type": "deploy", "from_type": "ts"}, "only supported as a target"),
    ],
)
async def test_what_has_no_such_side_is_refused(params: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidQueryError, match=reason):
        await stats(**params)


async def test_what_a_kubelet_asks_is_no_traffic_of_a_workload() -> None:
    mesh = MeshStore()
    found: Any = await stat(mesh.mesh, metrics=METRICS).run(
        stat(mesh.mesh, metrics=METRICS).declaration.read(QueryParams({"type": "ns"}))
    )
    assert found["tables"][0]["rows"] == []


async def test_inbound_is_told_by_server_and_route() -> None:
    found = await rows(stat_inbound(metrics=METRICS), type="deploy")
    shown = [(row["server"]["name"], row["port"], row["route"]["name"]) for row in found]
    assert shown == [("web-http", "8080", name) for name in ("votes", "default", "probe")]
    assert found[0]["stats"]["rps"] == pytest.approx(4)
    (total,) = {row["name"] for row in await rows(stat_inbound(metrics=METRICS), type="ns")}
    assert total == NS


async def test_outbound_is_told_by_route_and_backend() -> None:
    grpc, http = await rows(stat_outbound(metrics=METRICS), type="deploy", name="client")
    assert (grpc["service"], http["service"]) == ("grpc-svc", "http-svc")
    assert http["stats"]["success_rate"] == pytest.approx(0.5)
    assert (http["stats"]["timeout_rate"], grpc["stats"]["timeout_rate"]) == pytest.approx((0.5, 0))
    assert (http["retry_rate"], grpc["retry_rate"]) == (pytest.approx(0.5), None)
    assert http["stats"]["latency_ms_p50"] == 20
    (backend,) = http["backends"]
    assert (backend["name"], backend["stats"]["rps"]) == ("http-v1", pytest.approx(4))
    assert await rows(stat_outbound(metrics=METRICS), type="deploy", name="web") == []


async def test_authz_has_what_each_let_in_and_what_none_did() -> None:
    found = await rows(authz(metrics=METRICS), type="deploy", name="web")
    shown = {row["authorization"]["name"]: row for row in found}
    assert list(shown) == ["all", "probe", "", "friends"]
    assert shown[""]["refused_rps"] == pytest.approx(5)
    assert shown[""]["stats"] is None
    assert shown["friends"]["stats"]["rps"] == pytest.approx(4)
    with pytest.raises(InvalidQueryError, match="has no proxies"):
        await rows(authz(metrics=METRICS), type="svc")


def test_authorities_name_services_or_none() -> None:
    assert service_of("a.b.svc.cluster.local:80") == Key("b", "a")
    assert [service_of(one) for one in ("a", "a.b.c", "1.2.3.4:80", "[::1]:80")] == [None] * 4
