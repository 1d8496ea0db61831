"""The proxy-api server with real gRPC clients over loopback."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Endpoints,
    Pod,
    PortSpec,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import SERVICE, DestinationService
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.local_mesh import LocalMesh
from tests.support.wait import eventually_async, within

WEB = ServiceSpec("default", "web-svc", "web", (PortSpec("http", 80, 8080),))
POD = Replica("default", "web-0", "web", "127.0.1.1", {8080: 41001}, ready=True, status="Running")
PATH = "web-svc.default.svc.cluster.local:80"
DEADLINE_S = 20


class Server:
    def __init__(self, *, streams: int = 10) -> None:
        self.local_mesh = LocalMesh()
        self.metrics = CollectorRegistry()
        self.destination = Destination(self.local_mesh.store, metrics=self.metrics)
        self.api = ProxyApi(
            [DestinationService(self.destination, limiter=StreamLimiter(limit=streams)).served()]
        )
        self.local_mesh.apply(services=[WEB], pods=[POD])

    async def client(self) -> stubs.DestinationStub:
        self.channel = grpc.aio.insecure_channel(self.api.address)
        return stubs.DestinationStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.api.stop(grace_s=0.1)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(streams=3)
    server.api.bind()
    await server.api.start()
    async with within(DEADLINE_S):
        yield server
    await server.stop()


def ask(path: str = PATH) -> messages.GetDestination:
    return messages.GetDestination(path=path, context_token='{"ns":"default"}')


async def test_get_streams_a_snapshot_then_changes(server: Server) -> None:
    client = await server.client()
    call = client.Get(ask())
    first = await call.read()
    assert [address.addr.port for address in first.add.addrs] == [41001]
    server.local_mesh.put(replace(POD, name="web-1", ip="127.0.1.2"))
    assert (await call.read()).add.addrs[0].metric_labels["pod"] == "web-1"
    server.local_mesh.store.replace({Pod: [], Endpoints: []})
    assert len((await call.read()).remove.addrs) == 2


async def test_get_profile_streams_a_profile_then_changes(server: Server) -> None:
    client = await server.client()
    call = client.GetProfile(ask())
    assert (await call.read()).fully_qualified_name == "web-svc.default.svc.cluster.local"
    server.local_mesh.put(replace(WEB, ports=(PortSpec("http", 80, 8080, opaque=True),)))
    assert (await call.read()).opaque_protocol


async def test_streams_say_who_must_answer_and_when_that_changes(server: Server) -> None:
    client = await server.client()
    endpoints, profile = client.Get(ask()), client.GetProfile(ask("127.0.1.1:8080"))
    assert not (await endpoints.read()).add.addrs[0].HasField("tls_identity")
    assert not (await profile.read()).endpoint.HasField("tls_identity")
    for name in ("web.default.example", "other.default.example"):
        server.local_mesh.put(replace(POD, identity=name, inbound_port=4143))
        (address,) = (await endpoints.read()).add.addrs
        for told in (address, (await profile.read()).endpoint):
            assert told.tls_identity.dns_like_identity.name == name
            assert told.tls_identity.server_name.name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [("Get", "127.0.0.1:80"), ("Get", "example.com:80"), ("Get", ""), ("GetProfile", "a:b")],
)
async def test_path_that_cannot_be_discovered_is_invalid(
    server: Server, method: str, path: str
) -> None:
    client = await server.client()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(client, method)(ask(path)).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details()


async def test_bytes_that_are_no_request_are_invalid(server: Server) -> None:
    await server.client()
    call = server.channel.unary_stream(f"/{SERVICE}/Get")(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_request_that_is_too_large_is_refused(server: Server) -> None:
    client = await server.client()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Get(ask("a" * 70_000)).read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_cancelled_stream_is_forgotten(server: Server) -> None:
    client = await server.client()
    call = client.Get(ask())
    await call.read()
    assert server.destination.endpoints.questions == 1
    call.cancel()
    # A stream that is answered after the cancel shows that the server has seen it: one connection.
    while server.destination.endpoints.questions:
        await client.GetProfile(ask()).read()
    assert server.destination.endpoints.streams == 0


async def test_streams_beyond_a_proxys_limit_are_refused(server: Server) -> None:
    client = await server.client()
    calls = [client.Get(ask()) for _ in range(3)]
    for call in calls:
        await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Get(ask()).read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "3 streams" in str(caught.value.details())


async def test_proxy_that_does_not_read_is_ended_and_counted(server: Server) -> None:
    client = await server.client()
    call = client.Get(ask())
    await call.read()
    # What is said of each is long, so that few changes are much to read.
    pods = [replace(POD, name=f"web-{n}" + "a" * 8000, ip=f"127.0.2.{n + 1}") for n in range(4)]
    overflows = "endpoint_updates_queue_overflow_total"
    meshed = True
    while not server.metrics.get_sample_value(overflows):
        meshed = not meshed
        server.local_mesh.apply(pods=[replace(pod, meshed=meshed) for pod in pods])
        await server.destination.endpoints.settled()
    assert server.destination.endpoints.streams == 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while await call.read():
            pass
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_stopping_ends_streams_as_unavailable(server: Server) -> None:
    client = await server.client()
    call = client.Get(ask())
    await call.read()
    stopping = asyncio.gather(server.api.stop(grace_s=5))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await stopping


async def test_health_is_serving_until_stopped(server: Server) -> None:
    await server.client()
    health = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_is_watched_until_nothing_is_served(server: Server) -> None:
    await server.client()
    said = health_pb2.HealthCheckResponse
    health = health_pb2_grpc.HealthStub(server.channel)
    watched = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert (await watched.read()).status == said.SERVING
    assert (await unknown.read()).status == said.SERVICE_UNKNOWN
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    stopping = asyncio.gather(server.api.stop(grace_s=0.2))
    assert (await watched.read()).status == said.NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError):
        await unknown.read()
    await stopping


async def test_a_method_that_there_is_not_is_unimplemented(server: Server) -> None:
    await server.client()
    for path in (f"/{SERVICE}/Nothing", "/nobody/Get", "/"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.channel.unary_unary(path)(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_taken_port_is_an_error_that_names_it(server: Server) -> None:
    await server.client()
    other = Server()
    port = int(server.api.address.rpartition(":")[2])
    with pytest.raises(BindError, match=f"cannot listen on 127.0.0.1:{port}"):
        other.api.bind(port=port)
    other.destination.close()


async def test_before_everything_is_listed_streams_wait_and_health_says_no() -> None:
    store = MeshStore()
    api = ProxyApi([DestinationService(Destination(store, metrics=CollectorRegistry())).served()])
    api.bind()
    await api.start()
    try:
        async with within(DEADLINE_S), grpc.aio.insecure_channel(api.address) as channel:
            # What is still unknown is not said to be absent, though a part of it is known to be there.
            store.replace({Service: [], Pod: []})
            call = stubs.DestinationStub(channel).Get(ask())
            first = spawn(call.read(), name="first")
            assert await health_of(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not first.done()
            source = LocalSource(store)
            source.describe(services=[WEB], workloads=[Workload(DEPLOYMENT, "default", "web", 0)])
            # Nobody serves it, and nothing is said of that.
            source.put(POD)
            assert len((await first).add.addrs) == 1
            await eventually_async(lambda: serves(channel))
    finally:
        await api.stop(grace_s=0.1)


async def serves(channel: grpc.aio.Channel) -> bool:
    return await health_of(channel) == health_pb2.HealthCheckResponse.SERVING


async def health_of(channel: grpc.aio.Channel) -> int:
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    answer = await health_pb2_grpc.HealthStub(channel).Check(request)
    return int(answer.status)
