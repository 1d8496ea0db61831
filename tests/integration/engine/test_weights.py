"""Weights and nearness of endpoints, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from tests.integration.engine.test_balancing import OK, ask
from tests.integration.engine.test_failing_endpoint import server
from tests.support.engine import Engine, engine
from tests.support.origin import origin
from tests.support.wait import eventually_async

SERVED = b"HTTP/1.1 200 OK"
ANSWER_S = 0.05
FEW, MANY = 15, 4
"""What stalls on a busy machine is slow, and the others are tried instead."""


@dataclass
class Replica:
    """Answers after so long that whatever else a busy machine does is short beside it."""

    address: tuple[str, int] = ("", 0)
    asked: int = 0
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while await reader.readuntil(b"\r\n\r\nabc"):
            self.asked += 1
            await asyncio.sleep(ANSWER_S)
            writer.write(OK)


@asynccontextmanager
async def replica() -> AsyncIterator[Replica]:
    made = Replica()
    async with server(made.serve) as made.address:
        yield made


@dataclass
class Rig:
    made: Engine
    servers: list[Replica]
    target: Target
    address: tuple[str, int]

    def say(self, *said: dict[str, Any]) -> None:
        """What discovery says of each server."""
        self.target.replace(
            [
                EndpointSpec(Address(*one.address), **more)
                for one, more in zip(self.servers, said, strict=True)
            ]
        )

    def weigh(self, *weights: int) -> None:
        self.say(*({"weight": weight} for weight in weights))

    async def shares(self, requests: int, *, clients: int = 40) -> list[int]:
        before = [one.asked for one in self.servers]
        asked = await asyncio.gather(
            *(ask(self.address, requests // clients) for _ in range(clients))
        )
        assert all(status == SERVED for statuses in asked for status in statuses)
        return [one.asked - old for one, old in zip(self.servers, before, strict=True)]

    async def all_ready(self) -> None:
        async def so() -> bool:
            return all(one["ready"] for one in self.target.endpoints_state())

        await eventually_async(so)


@asynccontextmanager
async def rig(count: int) -> AsyncIterator[Rig]:
    async with engine() as made, AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(replica()) for _ in range(count)]
        target, address = made.outbound()
        yield Rig(made, servers, target, address)


@pytest.mark.parametrize("heavier", [3, 10])
async def test_shares_are_those_of_the_weights(heavier: int) -> None:
    async with rig(2) as made:
        made.weigh(10_000, heavier * 10_000)
        await made.all_ready()
        lighter, _ = await made.shares(1600)
        assert lighter / 1600 == pytest.approx(1 / (1 + heavier), rel=0.35)


async def test_another_weight_costs_no_connection() -> None:
    async with rig(2) as made:
        made.weigh(10_000, 10_000)
        await made.all_ready()
        await made.shares(200)
        connections = [one.connections for one in made.servers]
        made.weigh(10_000, 1)
        assert [one["weight"] for one in made.target.endpoints_state()] == [1.0, 0.0001]
        assert all(one["ready"] for one in made.target.endpoints_state())
        heavy, light = await made.shares(400)
        assert heavy > FEW * light
        # Nothing was closed; the heavier one may need more of them.
        assert made.servers[0].connections <= max(connections[0], 40)
        assert made.servers[1].connections == connections[1]


async def test_no_weight_and_equal_ones_are_as_today() -> None:
    async with rig(3) as made:
        made.weigh(0, 0, 10_000)
        assert [one["weight"] for one in made.target.endpoints_state()] == [1.0] * 3
        made.weigh(1, 1, 1)
        await made.all_ready()
        assert min(await made.shares(600)) > 100


async def test_the_largest_weight_there_is() -> None:
    async with rig(2) as made:
        made.weigh(2**32 - 1, 1)
        await made.all_ready()
        heavy, light = await made.shares(400)
        assert heavy > FEW * light
        with pytest.raises(OverflowError):
            made.weigh(2**32, 1)
        with pytest.raises(OverflowError):
            made.weigh(-1, 1)


async def test_those_near_get_all_until_there_are_none() -> None:
    async with rig(3) as made:
        made.say({"near": True}, {"near": True}, {})
        await made.all_ready()
        near, also, far = await made.shares(160, clients=8)
        assert near + also > MANY * far and min(near, also) > 0
        made.say({}, {}, {"near": True})
        near, also, far = await made.shares(160, clients=8)
        assert far > MANY * (near + also)
        made.target.remove([Address(*made.servers[2].address)])
        near, also, far = await made.shares(80)
        assert (near + also, far) == (80, 0)


async def test_a_zone_that_is_down_is_left_and_found_again() -> None:
    async with rig(3) as made:
        async with origin(lambda _h, _b: OK) as gone:
            address = gone.address
        dead = EndpointSpec(Address(*address), near=True)
        far = [EndpointSpec(Address(*one.address)) for one in made.servers[1:]]
        made.target.replace([dead, *far])
        assert sum(await made.shares(80)) == 80
        made.target.add([EndpointSpec(Address(*made.servers[0].address), near=True)])

        async def ready() -> bool:
            return sum(one["ready"] for one in made.target.endpoints_state()) == 3

        await eventually_async(ready)
        # Half of the zone is ready: 0.7 of the requests stay there.
        near = (await made.shares(800))[0]
        assert 440 < near < 680
