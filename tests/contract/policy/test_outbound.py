"""Outbound policies over gRPC, of the recorded cluster on a real API server: ours are those that Linkerd's own
policy controller gave.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_address

import grpc
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.outbound import OutboundPolicies
from linkerd2_py.controlplane.proxy_api.outbound import OutboundService
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.sources.kubernetes.api_server import connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import outbound_pb2_grpc as outbound_grpc
from tests.support.cluster.control_plane import ControlPlane, hung_up
from tests.support.cluster.recorded import MISSING, RECORDED
from tests.support.recorded_answers import Recorded, camel_case
from tests.support.wait import eventually_async

CASES = sorted((RECORDED / "policy").glob("outbound-*.json"))
LIMIT_S = 30.0

pytestmark = [
    pytest.mark.skipif(not CASES, reason=MISSING),
    # The first of them waits until the API server has started.
    pytest.mark.timeout(300),
]

DIFFERENCES: dict[str, str] = {}
"""Cases that we answer in another way than Linkerd does, with the reason."""


@pytest.fixture
async def ours(linkerd_objects: ControlPlane) -> AsyncIterator[outbound_grpc.OutboundPoliciesStub]:
    """The service, over the objects of the API server."""
    api = await connect(linkerd_objects.kubeconfig)
    store = MeshStore()
    source = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    policies = OutboundPolicies(store, cluster=Cluster(), metrics=CollectorRegistry())
    server = ProxyApi([OutboundService(policies).served()])
    server.bind()
    try:
        async with grpc.aio.insecure_channel(await server.start()) as channel:
            await eventually_async(lambda: policies.is_synced, deadline_s=LIMIT_S)
            yield outbound_grpc.OutboundPoliciesStub(channel)
    finally:
        await server.stop(grace_s=0)
        await source.stop()
        await api.close()
        await hung_up(linkerd_objects.server)


async def test_each_recorded_question_is_answered_as_linkerd_did(
    ours: outbound_grpc.OutboundPoliciesStub,
) -> None:
    different = {}
    for recorded in map(Recorded.read, CASES):
        found = await _answer(ours, recorded)
        wanted = (recorded.messages(outbound.OutboundPolicy), recorded.code, recorded.message)
        if found != wanted:
            different[recorded.name] = f"wanted {wanted}, got {found}"
    assert different.keys() == DIFFERENCES.keys(), "\n".join(different.values())


async def _answer(
    ours: outbound_grpc.OutboundPoliciesStub, recorded: Recorded
) -> tuple[list[outbound.OutboundPolicy], str, str]:
    """The messages that came, and how it ended: with neither code nor words where the stream stays open."""
    spec = _spec(recorded)
    try:
        if recorded.case["rpc"] == "OutGet":
            return [await ours.Get(spec, timeout=LIMIT_S)], "OK", ""
        stream = ours.Watch(spec, timeout=LIMIT_S)
        return [await stream.read()], "", ""
    except grpc.aio.AioRpcError as error:
        return [], camel_case(error.code().name), error.details() or ""


def _spec(recorded: Recorded) -> outbound.TrafficSpec:
    spec = outbound.TrafficSpec(source_workload=recorded.case["token"])
    ip = recorded.case.get("ip")
    if ip:
        found = net.IPAddress(ipv4=int(ip_address(ip)))
        spec.addr.CopyFrom(net.TcpAddress(ip=found, port=recorded.case["port"]))
    else:
        spec.authority = recorded.case["path"]
    return spec
