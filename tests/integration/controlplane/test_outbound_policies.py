"""The OutboundPolicies service over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.outbound import OutboundPolicies
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.outbound import SERVICE, OutboundService
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import outbound_pb2_grpc as outbound_grpc
from tests.support.outbound_shop import http_route, service
from tests.support.wait import in_time

LIMIT_S = 10.0
CLIENT = "client:pod"
WEB = outbound.TrafficSpec(source_workload=CLIENT, authority="web.shop.svc.cluster.local:80")
POD = outbound.TrafficSpec(
    source_workload=CLIENT, addr=net.TcpAddress(ip=net.IPAddress(ipv4=0x0A010101), port=80)
)


class Served:
    """The service, over a mesh that tests change."""

    def __init__(self, channel: grpc.aio.Channel, store: MeshStore, server: ProxyApi) -> None:
        self.stub = outbound_grpc.OutboundPoliciesStub(channel)
        self.channel = channel
        self.store = store
        self.server = server


@asynccontextmanager
async def serving(*, streams: int = 10) -> AsyncIterator[Served]:
    store = MeshStore()
    store.replace(dict.fromkeys(store.mesh.unsynced, ()))
    store.put(service())
    policies = OutboundPolicies(store, cluster=Cluster(), metrics=CollectorRegistry())
    limited = OutboundService(policies, limiter=StreamLimiter(limit=streams))
    server = ProxyApi([limited.served()])
    server.bind()
    try:
        async with grpc.aio.insecure_channel(await server.start()) as channel:
            yield Served(channel, store, server)
    finally:
        await server.stop(grace_s=0)


def routes(policy: outbound.OutboundPolicy) -> list[str]:
    return [one.metadata.resource.name for one in policy.protocol.detect.http1.routes]


async def test_a_stream_begins_with_what_holds_and_tells_each_change() -> None:
    async with serving() as served:
        stream = served.stub.Watch(WEB)
        assert routes(await in_time(stream.read(), LIMIT_S)) == [""]
        served.store.put(http_route())
        assert routes(await in_time(stream.read(), LIMIT_S)) == ["route"]
        assert routes(await in_time(served.stub.Get(WEB), LIMIT_S)) == ["route"]


@pytest.mark.parametrize("method", ["Get", "Watch"])
@pytest.mark.parametrize(
    ("request_bytes", "code", "words"),
    [
        (b"\xff", "INVALID_ARGUMENT", "the request is not a TrafficSpec"),
        (b"", "INVALID_ARGUMENT", "target is required"),
        (
            outbound.TrafficSpec(source_workload="x", authority="a.b.svc").SerializeToString(),
            "INVALID_ARGUMENT",
            "Invalid workload: x",
        ),
        (POD.SerializeToString(), "NOT_FOUND", "No such service"),
    ],
)
async def test_what_gets_no_answer(
    method: str, request_bytes: bytes, code: str, words: str
) -> None:
    async with serving() as served:
        path = f"/{SERVICE}/{method}"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            if method == "Get":
                await in_time(served.channel.unary_unary(path)(request_bytes), LIMIT_S)
            else:
                await in_time(served.channel.unary_stream(path)(request_bytes).read(), LIMIT_S)
        assert (refused.value.code().name, refused.value.details()) == (code, words)


async def test_a_proxy_holds_so_many_streams_and_no_more() -> None:
    async with serving(streams=1) as served:
        first = served.stub.Watch(WEB)
        await in_time(first.read(), LIMIT_S)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await in_time(served.stub.Watch(WEB).read(), LIMIT_S)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()


async def test_streams_end_with_the_server_so_that_proxies_go_elsewhere() -> None:
    async with serving() as served:
        stream = served.stub.Watch(WEB)
        await in_time(stream.read(), LIMIT_S)
        await served.server.stop(grace_s=LIMIT_S)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await in_time(stream.read(), LIMIT_S)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
