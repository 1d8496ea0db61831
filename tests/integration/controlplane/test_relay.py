"""A tier in front of a destination, over real gRPC: each question is asked once, and no proxy notices when
the destination goes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.proxy_api.limits import StreamLimiter
from linkerd2_py.controlplane.proxy_api.relay import links
from linkerd2_py.controlplane.proxy_api.relay.links import Links
from linkerd2_py.controlplane.proxy_api.relay.relay import Relay
from linkerd2_py.controlplane.proxy_api.relay.service import RelayedServices
from linkerd2_py.controlplane.proxy_api.server import ProxyApi, Served
from linkerd2_py.controlplane.proxy_api.service import DestinationService
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.local_mesh import LocalMesh
from tests.support.ports import free_port
from tests.support.wait import eventually_async, within

WEB = ServiceSpec("default", "web-svc", "web", (PortSpec("http", 80, 8080),))
POD = Replica("default", "web-0", "web", "127.0.1.1", {8080: 41001}, ready=True, status="Running")
PATH = "web-svc.default.svc.cluster.local:80"
DEADLINE_S = 20


class Rig:
    """A destination that comes and goes at one address, a relay in front of it, and a proxy's connection."""

    def __init__(self) -> None:
        self.local_mesh = LocalMesh()
        self.local_mesh.apply(services=[WEB], pods=[POD])
        self.port = free_port()
        self.links = Links(f"127.0.0.1:{self.port}")
        self.relay = Relay(self.links, on_overflow=lambda: None)
        relayed = RelayedServices(self.relay, links=self.links, limiter=StreamLimiter())
        served = [
            Served(name, methods, close=relayed.close)
            for name, methods in relayed.methods().items()
        ]
        self.front = ProxyApi(served)
        self.behind: ProxyApi | None = None
        self.destination: Destination | None = None

    async def come(self) -> None:
        self.destination = Destination(self.local_mesh.store, metrics=CollectorRegistry())
        self.behind = ProxyApi([DestinationService(self.destination).served()])
        self.behind.bind(port=self.port)
        await self.behind.start()

    async def go(self) -> None:
        assert self.behind is not None
        await self.behind.stop(grace_s=0.0)

    async def start(self) -> stubs.DestinationStub:
        self.front.bind()
        self.channel = grpc.aio.insecure_channel(await self.front.start())
        return stubs.DestinationStub(self.channel)

    async def stop(self) -> None:
        await self.channel.close()
        await self.front.stop(grace_s=0.1)
        await self.links.close()
        await self.go()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    async with within(DEADLINE_S):
        yield rig
    await rig.stop()


def ask(path: str = PATH, *, pod: str = "a") -> messages.GetDestination:
    return messages.GetDestination(path=path, context_token=f'{{"ns":"default","pod":"{pod}"}}')


def ports(update: messages.Update) -> list[int]:
    return [one.addr.port for one in update.add.addrs]


async def test_many_proxies_are_one_question(rig: Rig) -> None:
    await rig.come()
    client = await rig.start()
    calls = [client.Get(ask(pod=f"web-{number}")) for number in range(20)]
    assert [ports(await call.read()) for call in calls] == [[41001]] * 20
    assert rig.destination is not None
    assert rig.destination.endpoints.streams == 1
    assert (rig.relay.questions, rig.relay.streams) == (1, 20)
    rig.local_mesh.put(replace(POD, name="web-1", ports={8080: 41002}))
    assert [ports(await call.read()) for call in calls] == [[41002]] * 20
    # Who comes later begins with all of it, as do those who ask destination itself.
    calls.append(client.Get(ask()))
    late = await calls[-1].read()
    assert sorted(ports(late)) == [41001, 41002]
    assert late.add.metric_labels["service"] == "web-svc"
    for call in calls:
        call.cancel()
    await eventually_async(lambda: rig.relay.streams == 0)
    assert rig.relay.questions == 0
    await eventually_async(lambda: rig.destination.endpoints.questions == 0)  # type: ignore[union-attr]


async def test_a_destination_that_was_away_changes_only_what_is_different(rig: Rig) -> None:
    await rig.come()
    client = await rig.start()
    endpoints, profile = client.Get(ask()), client.GetProfile(ask())
    assert ports(await endpoints.read()) == [41001]
    assert not (await profile.read()).opaque_protocol
    await rig.go()
    # Meanwhile one pod has taken the place of another.
    rig.local_mesh.put(replace(POD, name="web-1", ports={8080: 41002}))
    rig.local_mesh.remove(POD)
    # Who comes while it is away hears what was said last.
    late = client.Get(ask(pod="late"))
    assert ports(await late.read()) == [41001]
    await rig.come()
    for call in (endpoints, late):
        assert ports(await call.read()) == [41002]
        assert [one.port for one in (await call.read()).remove.addrs] == [41001]
    # Of what is as it was nothing is said: the next thing heard is the next change.
    rig.local_mesh.put(replace(WEB, ports=(PortSpec("http", 80, 8080, opaque=True),)))
    assert (await profile.read()).opaque_protocol


async def test_a_set_that_was_emptied_meanwhile_is_emptied(rig: Rig) -> None:
    """A destination has nothing to say of a service that nobody serves; that is an answer, too."""
    await rig.come()
    client = await rig.start()
    call = client.Get(ask())
    assert ports(await call.read()) == [41001]
    await rig.go()
    rig.local_mesh.remove(POD)
    await rig.come()
    assert [one.port for one in (await call.read()).remove.addrs] == [41001]
    # And who asks now hears nothing until there is somebody.
    late = client.Get(ask(pod="late"))
    await eventually_async(lambda: rig.relay.streams == 2)
    rig.local_mesh.put(replace(POD, ports={8080: 41002}))
    assert ports(await late.read()) == ports(await call.read()) == [41002]


async def test_of_a_service_that_is_gone_nothing_is_left(rig: Rig) -> None:
    """Who has been asking hears so; who asks anew is refused, as destination would."""
    await rig.come()
    client = await rig.start()
    call = client.Get(ask())
    assert ports(await call.read()) == [41001]
    await rig.go()
    rig.local_mesh.apply(services=[], pods=[])
    await rig.come()
    assert [one.port for one in (await call.read()).remove.addrs] == [41001]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Get(ask(pod="late")).read()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert rig.relay.streams == 1
    rig.local_mesh.apply(services=[WEB], pods=[replace(POD, ports={8080: 41002})])
    assert ports(await call.read()) == [41002]


async def test_who_asks_before_there_is_a_destination_waits_for_it(rig: Rig) -> None:
    client = await rig.start()
    call = client.Get(ask())
    first = spawn(call.read(), name="first")
    await eventually_async(lambda: rig.relay.questions == 1)
    await rig.come()
    assert ports(await first) == [41001]


async def test_questions_beyond_what_a_connection_holds_get_another(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "STREAMS_PER_LINK", 2)
    await rig.come()
    client = await rig.start()
    calls = [client.GetProfile(ask(f"127.0.9.{number}:80")) for number in range(5)]
    for call in calls:
        await call.read()
    assert (rig.relay.questions, rig.links.count) == (5, 3)
    # What is given back is used again.
    calls.pop().cancel()
    await eventually_async(lambda: rig.relay.questions == 4)
    calls.append(client.GetProfile(ask("127.0.9.9:80")))
    await calls[-1].read()
    assert rig.links.count == 3


async def test_all_who_ask_at_once_are_answered(rig: Rig) -> None:
    """As proxies do when a control plane comes back."""
    await rig.come()
    client = await rig.start()
    calls = [client.GetProfile(ask(pod=f"web-{number}")) for number in range(1_800)]
    for call in calls:
        assert (await call.read()).fully_qualified_name == "web-svc.default.svc.cluster.local"
    assert (rig.relay.questions, rig.relay.streams) == (1, 1_800)


async def test_a_refusal_is_passed_on_and_leaves_nothing(rig: Rig) -> None:
    await rig.come()
    client = await rig.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Get(ask("127.0.0.1:80")).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "IP queries not supported" in (caught.value.details() or "")
    assert rig.relay.questions == 0


async def test_the_end_of_the_relay_is_the_end_of_its_streams(rig: Rig) -> None:
    await rig.come()
    client = await rig.start()
    call = client.Get(ask())
    await call.read()
    # One that waits for an answer, too.
    await rig.go()
    waiting = client.GetProfile(ask())
    await eventually_async(lambda: rig.relay.questions == 2)
    await rig.front.stop(grace_s=5.0)
    for each in (call, waiting):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await each.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await rig.come()
