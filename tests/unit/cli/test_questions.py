"""Questions of proxies that a person asks, to a real gRPC service that answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from linkerd2_py.base.tasks import spawn
from linkerd2_py.cli import questions
from linkerd2_py.cli.questions import endpoints_of, profile_of
from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_stub import DestinationStub
from tests.support.wait import eventually_async

WEB = "web.shop.svc.cluster.local:80"


@pytest.fixture
async def stub() -> AsyncIterator[DestinationStub]:
    async with DestinationStub() as running:
        yield running


@pytest.fixture
async def channel(stub: DestinationStub) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(stub.address) as opened:
        yield opened


def added(last: int, *, ipv6: bool = False) -> destination.Update:
    """An endpoint of `web`."""
    update = destination.Update()
    update.add.metric_labels.update({"service": "web", "namespace": "shop"})
    address = update.add.addrs.add(weight=1)
    address.addr.port = 8080
    address.metric_labels["pod"] = f"web-{last}"
    if ipv6:
        address.addr.ip.ipv6.first = 0xFD << 56
        address.addr.ip.ipv6.last = last
        address.http2.keep_alive.interval.seconds = 10
    else:
        address.addr.ip.ipv4 = 0x7F000000 + last
    return update


async def test_what_comes_in_several_messages_is_one_answer(
    stub: DestinationStub, channel: grpc.aio.Channel
) -> None:
    stub.endpoints[WEB] = added(2)
    asking = spawn(endpoints_of(channel, authorities=[WEB], token="who"), name="asking")
    await eventually_async(lambda: bool(stub.gets))
    stub.gets[0].send(added(1, ipv6=True))
    found = await asking
    assert [(one["pod"], one["ip"]) for one in found] == [
        ("web-1", "fd00::1"),
        ("web-2", "127.0.0.2"),
    ]
    assert found[0]["http2"] == {"keep_alive": {"interval": {"seconds": 10}}}
    assert stub.gets[0].token == "who"
    await asyncio.wait_for(stub.gets[0].ended.wait(), 10)


async def test_a_service_of_which_nothing_is_said_has_no_endpoints(
    stub: DestinationStub, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_FIRST_S", 0.2)
    assert await endpoints_of(channel, authorities=[WEB], token="") == []
    none = destination.Update()
    none.no_endpoints.exists = True
    stub.endpoints[WEB] = none
    assert await endpoints_of(channel, authorities=[WEB], token="") == []


async def test_one_authority_that_is_refused_is_the_answer(
    stub: DestinationStub, channel: grpc.aio.Channel
) -> None:
    stub.endpoints[WEB] = added(1)
    stub.refusals["x:80"] = grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await endpoints_of(channel, authorities=[WEB, "x:80"], token="")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_profile_is_the_first_that_comes(
    stub: DestinationStub, channel: grpc.aio.Channel
) -> None:
    stub.profiles[WEB] = destination.DestinationProfile(fully_qualified_name="web.shop")
    found = await profile_of(channel, path=WEB, token="who")
    assert found == {"fully_qualified_name": "web.shop"}
    assert stub.profile_gets[0].token == "who"
