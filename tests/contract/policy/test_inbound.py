"""Inbound policies over gRPC, of the recorded cluster on a real API server: ours are those that Linkerd's own
policy controller gave.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound.inbound import InboundPolicies
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.proxy_api.inbound import InboundService
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.sources.kubernetes.api_server import connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import inbound_pb2_grpc as inbound_grpc
from tests.support.cluster.control_plane import ControlPlane, hung_up
from tests.support.cluster.recorded import MISSING, RECORDED
from tests.support.recorded_answers import Recorded, camel_case
from tests.support.wait import eventually_async

CASES = sorted((RECORDED / "policy").glob("inbound-*.json"))
LIMIT_S = 30.0

pytestmark = [
    pytest.mark.skipif(not CASES, reason=MISSING),
    # The first of them waits until the API server has started.
    pytest.mark.timeout(300),
]

DIFFERENCES: dict[str, str] = {}
"""Cases that we answer in another way than Linkerd does, with the reason."""


@pytest.fixture
async def ours(
    linkerd_objects: ControlPlane,
) -> AsyncIterator[inbound_grpc.InboundServerPoliciesStub]:
    """The service, over the objects of the API server."""
    api = await connect(linkerd_objects.kubeconfig)
    store = MeshStore()
    source = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    policies = InboundPolicies(store, settings=Settings(), metrics=CollectorRegistry())
    server = ProxyApi([InboundService(policies).served()])
    server.bind()
    try:
        async with grpc.aio.insecure_channel(await server.start()) as channel:
            await eventually_async(lambda: not source.unsynced, deadline_s=LIMIT_S)
            yield inbound_grpc.InboundServerPoliciesStub(channel)
    finally:
        await server.stop(grace_s=0)
        await source.stop()
        await api.close()
        await hung_up(linkerd_objects.server)


async def test_each_recorded_question_is_answered_as_linkerd_did(
    ours: inbound_grpc.InboundServerPoliciesStub,
) -> None:
    different = {}
    for recorded in map(Recorded.read, CASES):
        messages, *end = await _answer(ours, recorded)
        found = ([_in_order(one) for one in messages], *end)
        theirs = [_in_order(one) for one in recorded.messages(inbound.Server)]
        wanted = (theirs, recorded.code, recorded.message)
        if found != wanted:
            different[recorded.name] = f"wanted {wanted}, got {found}"
    assert different.keys() == DIFFERENCES.keys(), "\n".join(different.values())


async def _answer(
    ours: inbound_grpc.InboundServerPoliciesStub, recorded: Recorded
) -> tuple[list[inbound.Server], str, str]:
    """The messages that came, and how it ended: with neither code nor words where the stream stays open."""
    case = recorded.case
    question = inbound.PortSpec(workload=case["token"], port=case.get("port", 0))
    try:
        if case["rpc"] == "InGetPort":
            return [await ours.GetPort(question, timeout=LIMIT_S)], "OK", ""
        stream = ours.WatchPort(question, timeout=LIMIT_S)
        return [await stream.read()], "", ""
    except grpc.aio.AioRpcError as error:
        return [], camel_case(error.code().name), error.details() or ""


def _in_order(server: inbound.Server) -> inbound.Server:
    """Authorizations have no order, nor have the identities of one."""
    found = inbound.Server()
    found.CopyFrom(server)
    _sort(found.authorizations)
    kind = found.protocol.WhichOneof("kind")
    protocol = getattr(found.protocol, kind)
    for route in getattr(protocol, "http_routes" if kind == "detect" else "routes", ()):
        _sort(route.authorizations)
    return found


def _sort(authorizations: Any) -> None:
    for one in authorizations:
        if one.authentication.HasField("meshTLS"):
            allowed = one.authentication.meshTLS.identities
            allowed.identities.sort(key=_bytes)
            allowed.suffixes.sort(key=_bytes)
    authorizations.sort(key=_bytes)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
