"""The whole embedded control plane over loopback: a mesh in, gRPC and JSON out, metrics read from real
servers.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import httpx2
import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py import __version__
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, PortSpec, Workload
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.run.local import EmbeddedControlPlane, build_embedded
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.local_mesh import LocalMesh
from tests.support.ports import is_listening
from tests.support.wait import eventually_async, within

INTERVAL_S = 0.05
AUTHORITY = "web-svc.emojivoto.svc.cluster.local:80"
WEB = ServiceSpec("emojivoto", "web-svc", "web", (PortSpec("http", 80, 8080),))
Json = dict[str, list[dict[str, object]]]


class Proxy:
    """A pod's admin server: answers with what a test puts here."""

    def __init__(self) -> None:
        self.turns = 0
        self.status = 200
        self.server = WebServer(Starlette(routes=[Route("/metrics", self.metrics)]))

    async def metrics(self, _request: Request) -> Response:
        self.turns += 1
        inbound = 'direction="inbound",tls="true"'
        lines = [
            f'response_total{{{inbound},classification="success"}} {self.turns * 9}',
            f'response_total{{{inbound},classification="failure"}} {self.turns}',
            f'response_latency_ms_bucket{{{inbound},le="10"}} {self.turns}',
            f'response_latency_ms_bucket{{{inbound},le="+Inf"}} {self.turns}',
            'tcp_open_connections{direction="inbound",peer="src"} 3',
            'tcp_open_connections{direction="outbound",peer="dst",dst_deployment="web"} 1',
            'proxy_build_info{version="0.1.0"} 1',
            "process_start_time_seconds 1700000000",
        ]
        return PlainTextResponse("\n".join(lines) + "\n", status_code=self.status)


class Plane:
    """A control plane with a mesh of one scraped pod, and clients of it."""

    def __init__(
        self, running: EmbeddedControlPlane, *, local_mesh: LocalMesh, proxy: Proxy
    ) -> None:
        self.running = running
        self.local_mesh = local_mesh
        self.proxy = proxy
        self.client = httpx2.AsyncClient(base_url=running.public_api, trust_env=False)

    async def get(self, path: str, *, status: int = 200) -> Json:
        response = await self.client.get(path)
        assert response.status_code == status, response.text
        found: Json = response.json()
        return found

    async def error(self, path: str, *, status: int) -> str:
        found = await self.get(path, status=status)
        assert list(found) == ["error"]
        return str(found["error"])

    async def row(self, query: str) -> dict[str, object]:
        found = await self.get(f"/api/v1/stat?{query}")
        (row,) = found["tables"][0]["rows"]  # type: ignore[misc]
        return dict(row)


def pod_of(proxy: Proxy) -> Replica:
    return Replica(
        namespace="emojivoto",
        name="web-0",
        workload="web",
        ip="127.0.1.1",
        ports={8080: 40001},
        ready=True,
        admin_addr=proxy.server.address,
        status="Running",
    )


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    proxy, local_mesh = Proxy(), LocalMesh()
    await proxy.server.start()
    running = await build_embedded(local_mesh.store, scrape_interval_s=INTERVAL_S)
    plane = Plane(running, local_mesh=local_mesh, proxy=proxy)
    local_mesh.apply(
        services=[WEB],
        deployments=[Workload(DEPLOYMENT, "emojivoto", "web", 1)],
        pods=[pod_of(proxy)],
    )
    async with within(25):
        yield plane
    await plane.client.aclose()
    await running.stop()
    await proxy.server.stop()


async def test_stats_come_from_the_pods_proxy(plane: Plane) -> None:
    async def has_traffic() -> dict[str, object] | None:
        stats = (await plane.row("type=deploy&name=web"))["stats"]
        return stats if isinstance(stats, dict) and stats["rps"] else None

    stats = await eventually_async(has_traffic)
    assert stats is not None
    assert stats["success_rate"] == pytest.approx(0.9)
    assert stats["tls_percent"] == pytest.approx(100)
    assert stats["tcp_open_connections"] == 3
    assert stats["latency_ms_p50"] == 5


async def test_restarted_proxy_does_not_disturb_counts(plane: Plane) -> None:
    await eventually_async(lambda: plane.proxy.turns > 3)
    plane.proxy.turns = 0
    await eventually_async(lambda: plane.proxy.turns > 3)
    stats = (await plane.row("type=deploy&name=web"))["stats"]
    assert isinstance(stats, dict)
    assert stats["success_rate"] == pytest.approx(0.9)
    assert stats["rps"] > 0


async def test_pods_say_how_their_proxies_are(plane: Plane) -> None:
    async def is_read() -> dict[str, object] | None:
        (pod,) = (await plane.get("/api/v1/pods"))["pods"]
        return pod if pod["proxy_ready"] else None

    pod = await eventually_async(is_read)
    assert pod is not None
    assert pod["owner"] == "deploy/web"
    assert pod["proxy_version"] == "0.1.0"
    assert pod["since_last_report_s"] is not None
    assert isinstance(pod["uptime_s"], float)
    assert (await plane.get("/api/v1/pods?namespace=elsewhere"))["pods"] == []


async def test_failing_proxy_is_shown_and_comes_back(plane: Plane) -> None:
    async def ready(expected: bool) -> bool:
        (pod,) = (await plane.get("/api/v1/pods"))["pods"]
        return pod["proxy_ready"] is expected

    await eventually_async(lambda: ready(True))
    plane.proxy.status = 500
    await eventually_async(lambda: ready(False))
    plane.proxy.status = 200
    await eventually_async(lambda: ready(True))


async def test_self_check_asks_every_part(plane: Plane) -> None:
    async def all_ok() -> bool:
        results = (await plane.get("/api/v1/self-check"))["results"]
        assert {result["category"] for result in results} == {"linkerd-api"}
        return len(results) == 3 and all(result["status"] == "ok" for result in results)

    await eventually_async(all_ok)
    lost = replace(pod_of(plane.proxy), name="web-1", admin_addr="127.0.0.1:1")
    plane.local_mesh.put(lost)
    results = (await plane.get("/api/v1/self-check"))["results"]
    assert results[-1]["status"] == "warning"
    assert results[-1]["message"] == "not read lately: emojivoto/web-1"


async def test_self_check_warns_of_an_empty_mesh(plane: Plane) -> None:
    plane.local_mesh.apply(deployments=[], services=[], pods=[])
    first = (await plane.get("/api/v1/self-check"))["results"][0]
    assert (first["status"], first["message"]) == (
        "warning",
        "the mesh has no workloads and no pods",
    )


async def test_endpoints_and_services_are_those_of_destination(plane: Plane) -> None:
    found = await plane.get(f"/api/v1/endpoints?authority={AUTHORITY}&authority={AUTHORITY}")
    assert found["endpoints"] == 2 * [
        {"namespace": "emojivoto", "service": "web-svc", "ip": "127.0.1.1", "port": 40001, "pod": "web-0"}
    ]  # fmt: skip
    plane.local_mesh.put(replace(pod_of(plane.proxy), ip="2001:db8::1"))
    found = await plane.get(f"/api/v1/endpoints?authority={AUTHORITY}")
    assert found["endpoints"][0]["ip"] == "2001:db8::1"
    assert (await plane.get("/api/v1/services?namespace=none"))["services"] == []
    (service,) = (await plane.get("/api/v1/services"))["services"]
    port = {"name": "http", "port": 80, "target_port": 8080, "opaque": False}
    assert service["ports"] == [port]
    assert (service["cluster_ips"], service["headless"]) == ([], False)


async def test_services_show_their_addresses(plane: Plane) -> None:
    plane.local_mesh.put(replace(WEB, ips=("10.9.128.16", "fd00::10")))
    plane.local_mesh.put(replace(WEB, name="peers", headless=True))
    peers, found = (await plane.get("/api/v1/services"))["services"]
    assert (found["cluster_ips"], found["headless"]) == (["10.9.128.16", "fd00::10"], False)
    assert (peers["cluster_ips"], peers["headless"]) == ([], True)


async def test_proxies_are_served_the_same_mesh(plane: Plane) -> None:
    async with grpc.aio.insecure_channel(plane.running.proxy_api) as channel:
        call = stubs.DestinationStub(channel).Get(messages.GetDestination(path=AUTHORITY))
        update = await call.read()
        assert update.add.addrs[0].addr.port == 40001
        call.cancel()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/stat", "type is missing"),
        ("/api/v1/stat?type=deploy&type=po", "type is given too often"),
        ("/api/v1/stat?type=deploy&foo=1", "unknown parameter 'foo'"),
        ("/api/v1/stat?type=deploy&all_namespaces=1", "all_namespaces: must be true or false"),
        ("/api/v1/stat?type=deploy&window=1y", "invalid time window '1y'"),
        ("/api/v1/stat?type=sp", "unimplemented resource type: serviceprofile"),
        (f"/api/v1/pods?namespace={'a' * 301}", "namespace: not a name"),
        ("/api/v1/pods?namespace=a%0Ab", "namespace: not a name"),
        ("/api/v1/edges", "type is missing"),
        ("/api/v1/edges?type=svc", "resource type is not supported: service"),
        ("/api/v1/edges?type=deploy&name=web", "unknown parameter 'name'"),
        ("/api/v1/identity", "namespace is missing"),
        ("/api/v1/endpoints", "authority is missing"),
        ("/api/v1/endpoints?authority=127.0.0.1:80", "IP queries not supported"),
        ("/api/v1/endpoints?authority=example.com", "Invalid authority: example.com"),
        (f"/api/v1/endpoints?{'authority=a&' * 101}", "authority is given too often"),
    ],
)
async def test_wrong_parameters_are_named(plane: Plane, path: str, message: str) -> None:
    assert message in await plane.error(path, status=400)


async def test_other_paths_and_methods_are_errors_too(plane: Plane) -> None:
    assert await plane.error("/api/v2/stat", status=404) == "no such path: /api/v2/stat"
    response = await plane.client.post("/api/v1/pods")
    assert (response.status_code, response.json()) == (405, {"error": "only GET is allowed here"})


async def test_answers_are_as_the_openapi_document_says(plane: Plane) -> None:
    await eventually_async(lambda: plane.proxy.turns > 2)
    document = await plane.get("/openapi.json")
    queries = {
        "/api/v1/stat": "?type=all",
        "/api/v1/edges": "?type=deploy",
        "/api/v1/authorizations": "?type=po&namespace=emojivoto",
        "/api/v1/endpoints": f"?authority={AUTHORITY}",
        "/api/v1/identity": "?namespace=emojivoto",
        "/api/v1/routes": "?type=deploy",
        "/api/v1/stat-inbound": "?type=deploy",
        "/api/v1/stat-outbound": "?type=deploy",
        "/api/v1/authz": "?type=deploy",
        "/api/v1/history": "?type=deploy&name=web&namespace=emojivoto",
    }
    # Of what this proxy has no series for.
    empty = {"/api/v1/routes", "/api/v1/stat-inbound", "/api/v1/stat-outbound", "/api/v1/authz"}
    assert len(document["paths"]) == 16
    for path in document["paths"]:
        reference = document["paths"][path]["get"]["responses"]["200"]  # type: ignore[call-overload]
        schema = {**reference["content"]["application/json"]["schema"], "components": document["components"]}  # fmt: skip
        found = await plane.get(path + queries.get(path, ""))
        Draft202012Validator(schema).validate(found)
        assert any(found.values()) or path in empty, path
    version = await plane.get("/api/v1/version")
    assert str(version["version"]) == __version__


async def test_own_metrics_are_served(plane: Plane) -> None:
    text = (await plane.client.get("/metrics")).text
    assert 'task_failures_total{task="public-api"} 0.0' in text
    assert "endpoint_updates_queue_overflow_total 0.0" in text
    assert "endpoint_subscribers 0.0" in text


async def test_stop_leaves_no_listener_and_may_be_repeated(plane: Plane) -> None:
    addresses = [plane.running.proxy_api, plane.running.public_api.removeprefix("http://")]
    await plane.running.stop()
    await plane.running.stop()
    for address in addresses:
        host, _, port = address.rpartition(":")
        assert not is_listening((host, int(port)))


@pytest.mark.parametrize("component", ["proxy_api", "public_api"])
async def test_taken_port_is_named_and_nothing_is_left_running(
    plane: Plane, component: str
) -> None:
    address = getattr(plane.running, component).removeprefix("http://")
    before = len(asyncio.all_tasks())
    listen = Listen(port=int(address.rpartition(":")[2]))
    with pytest.raises(BindError, match=f"cannot listen on {address}"):
        await build_embedded(LocalMesh().store, **{component: listen})
    # The running one may just be taking a connection.
    await eventually_async(lambda: len(asyncio.all_tasks()) <= before)
