"""What holds for a port: what was said last, with what the environment asks for."""

import asyncio

import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.config.types import InboundPolicy
from linkerd2_py.proxy.grpc.follow import Follower
from linkerd2_py.proxy.policy.ports import PortPolicies
from linkerd2_py.proxy.policy.server import ServerPolicy
from tests.support.policy_stub import authz, server

PORT = 80


class Said:
    """A controller that has said one thing about every port."""

    def __init__(self, answer: inbound.Server) -> None:
        self._answer = answer.SerializeToString()
        self.running: set[asyncio.Task[None]] = set()

    def watch_port(self, _port: int, *, follower: Follower) -> asyncio.Task[None]:
        async def say() -> None:
            follower.on_message(self._answer)

        task = spawn(say(), name="said")
        self.running.add(task)
        return task


async def told(answer: inbound.Server, **demands: frozenset[int]) -> ServerPolicy:
    """What holds once the controller has answered."""
    policy = InboundPolicy(
        default="deny",
        cluster_networks=(),
        require_identity=demands.get("identity", frozenset()),
        require_tls=demands.get("tls", frozenset()),
    )
    api, changed = Said(answer), asyncio.Event()
    ports = PortPolicies(
        policy,
        opaque_ports=frozenset(),
        api=api,  # type: ignore[arg-type]  # all that is asked of it
        on_change=lambda _port: changed.set(),
    )
    ports.begin(PORT)
    await changed.wait()
    found = ports.of(PORT)
    ports.end(PORT)
    await cancel_all(list(api.running))
    return found


@pytest.mark.parametrize(("demand", "tls"), [("tls", True), ("identity", False)])
async def test_demands_of_the_environment_hold_beside_the_answer(demand: str, tls: bool) -> None:
    answer = server(authz("all"))
    (plain,) = (await told(answer)).authorizations
    assert not plain.tls
    assert plain.identities is None
    (asked,) = (await told(answer, **{demand: frozenset({PORT})})).authorizations
    assert asked.tls == tls
    assert (asked.identities is None) == tls
    (other,) = (await told(answer, **{demand: frozenset({PORT + 1})})).authorizations
    assert other == plain
