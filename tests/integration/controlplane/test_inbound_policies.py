"""What mesh.yaml says of identity, asked over gRPC as Linkerd's proxies ask it, of a whole control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest

from linkerd2_py.controlplane.mesh.inbound import InboundSettings, Probe
from linkerd2_py.controlplane.run.local import build_embedded
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import inbound_pb2_grpc as inbound_grpc
from tests.support.local_mesh import LocalMesh
from tests.support.wait import within

ADMIN = 4191
SAID = InboundSettings(
    policy="all-authenticated",
    opaque=frozenset({9000}),
    probes=(Probe(ADMIN, "/metrics"), Probe(ADMIN, "/ready")),
)
POD = Replica("shop", "web-0", "web", "127.0.1.1", status="Running", inbound=SAID)


@dataclass
class Asked:
    """A mesh, and a connection to its control plane."""

    mesh: LocalMesh
    channel: grpc.aio.Channel

    @property
    def policies(self) -> inbound_grpc.InboundServerPoliciesStub:
        return inbound_grpc.InboundServerPoliciesStub(self.channel)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    mesh = LocalMesh()
    mesh.apply(pods=[POD])
    running = await build_embedded(mesh.store, networks=["127.0.0.0/8"])
    try:
        async with within(25), grpc.aio.insecure_channel(running.proxy_api) as channel:
            yield Asked(mesh, channel)
    finally:
        await running.stop()


def spec(port: int, workload: str = '{"ns":"shop","pod":"web-0"}') -> inbound.PortSpec:
    return inbound.PortSpec(workload=workload, port=port)


async def test_a_port_is_open_to_those_whom_the_file_names(
    asked: Asked,
) -> None:
    policies = asked.policies
    port = await policies.GetPort(spec(8080))
    (authz,) = port.authorizations
    assert port.labels["name"] == "all-authenticated"
    assert authz.authentication.meshTLS.HasField("identities")
    assert port.protocol.WhichOneof("kind") == "detect"
    assert (await policies.GetPort(spec(9000))).protocol.WhichOneof("kind") == "opaque"


async def test_the_admin_server_answers_those_who_ask_how_it_is(
    asked: Asked,
) -> None:
    """All others need an identity there, too."""
    policies = asked.policies
    admin = await policies.GetPort(spec(ADMIN))
    everything, probes = admin.protocol.detect.http_routes
    assert not everything.authorizations
    assert [one.path.exact for one in probes.rules[0].matches] == ["/metrics", "/ready"]
    (authz,) = probes.authorizations
    assert authz.authentication.HasField("unauthenticated")


async def test_an_edit_is_told_to_streams_that_are_open(
    asked: Asked,
) -> None:
    policies = asked.policies
    stream = policies.WatchPort(spec(8080))
    assert (await stream.read()).labels["name"] == "all-authenticated"
    asked.mesh.apply(pods=[Replica("shop", "web-0", "web", "127.0.1.1", status="Running")])
    assert (await stream.read()).labels["name"] == "all-unauthenticated"
    stream.cancel()


@pytest.mark.parametrize(
    ("question", "code", "words"),
    [
        (spec(80, "{}"), grpc.StatusCode.INVALID_ARGUMENT, "Invalid workload: {}"),
        (spec(80, "x"), grpc.StatusCode.INVALID_ARGUMENT, "Invalid workload: x"),
        (spec(0), grpc.StatusCode.INVALID_ARGUMENT, "Invalid port: 0"),
        (spec(80, "shop:nobody"), grpc.StatusCode.NOT_FOUND, "unknown server"),
    ],
)
async def test_what_gets_no_answer(
    asked: Asked,
    question: inbound.PortSpec,
    code: grpc.StatusCode,
    words: str,
) -> None:
    policies = asked.policies
    for call in (policies.GetPort(question), policies.WatchPort(question).read()):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert (refused.value.code(), refused.value.details()) == (code, words)


async def test_bytes_that_are_no_question(
    asked: Asked,
) -> None:
    for name in ("GetPort", "WatchPort"):
        path = f"/io.linkerd.proxy.inbound.InboundServerPolicies/{name}"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked.channel.unary_unary(path)(b"\xff")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
