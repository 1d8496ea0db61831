"""gRPC through one proxy, through two, and with TLS between them, with grpcio at both ends."""

import asyncio

import grpc
import grpc.aio
import pytest

from linkerd2_py._ext.core.limits import Limits
from tests.support.engine import engine
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.wait import in_time, patience, within
from tests.support.ways import TLS, every_way, way_to

DEADLINE_S = 0.03


@every_way
async def test_every_shape_of_call(way: str) -> None:
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        assert await client.unary(b"hello") == b"hello"
        assert [m async for m in client.server_stream(b"a\nb\nc")] == [b"a", b"b", b"c"]
        assert await client.client_stream(iter([b"1", b"2", b"3"])) == b"123"
        call = client.bidi()
        for i in range(50):
            await call.write(b"%d" % i)
            assert await call.read() == b"%d" % i
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK


@every_way
@pytest.mark.parametrize("size", [100_000, 4 * 1024 * 1024])
async def test_large_messages(way: str, size: int) -> None:
    message = bytes(i % 253 for i in range(size))
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        assert await client.unary(message) == message


@every_way
async def test_statuses_and_trailers(way: str) -> None:
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.unary(
                b"x",
                metadata=(
                    ("x-status", "NOT_FOUND"),
                    ("x-message", "no such thing"),
                    ("x-trailer", "t"),
                ),
            )
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "no such thing"
        assert ("x-trailer", "t") in tuple(caught.value.trailing_metadata())
        assert 'grpc_status="5"' in made.metrics()
        assert 'classification="failure"' in made.metrics()


@every_way
async def test_cancel_reaches_the_server(way: str) -> None:
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        call = client.unary(b"x", metadata=(("x-hold", "1"),))
        await in_time(server.seen.held.wait(), 10)
        call.cancel()
        await in_time(server.seen.cancelled.wait(), 10)


@every_way
async def test_deadlines_end_the_call_at_both_ends(way: str) -> None:
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.unary(b"x", metadata=(("x-hold", "1"),), timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await in_time(server.seen.cancelled.wait(), 10)


@every_way
async def test_calls_that_are_given_up_leave_the_others_alone(way: str) -> None:
    """Deadlines at once while a server hangs: more than any budget for resets, of this client and of another
    one.
    """
    async with (
        engine() as made,
        echo_server() as server,
        within(60),
    ):
        address = way_to(made, server.address, way=way)
        async with echo_client(address) as patient, echo_client(address) as hasty:
            same, other = hasty.bidi(), patient.bidi()
            for call in (same, other):
                await call.write(b"before")
                assert await call.read() == b"before"
            for _ in range(50):
                calls = [hasty.bidi() for _ in range(20)]
                await asyncio.gather(*(call.write(b"x") for call in calls))
                await asyncio.gather(*(call.read() for call in calls))
                # All are known to the proxies by now. A deadline is longer than what they take for an attack.
                await asyncio.sleep(DEADLINE_S)
                for call in calls:
                    call.cancel()
            for call in (same, other):
                await call.write(b"after")
                assert await call.read() == b"after"
                await call.done_writing()
                assert await call.code() is grpc.StatusCode.OK
            assert await hasty.unary(b"next") == b"next"
        assert not made.errors


LARGE = {
    "a request field of 100 KiB": (("x-big", "h" * 102_400),),
    "450 request fields": tuple((f"x-{n}", "v") for n in range(450)),
    "110 request fields": tuple((f"x-{n}", "v") for n in range(110)),
    "a trailer of 80 KiB": (("x-trailers", "1,81920"),),
    "450 trailers": (("x-trailers", "450,1"),),
    "150 trailers": (("x-trailers", "150,1"),),
}


@every_way
@pytest.mark.parametrize("metadata", LARGE.values(), ids=LARGE.keys())
async def test_a_large_head_costs_its_call_only(
    way: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    async with engine() as made, echo_server() as server, within(60):
        address = way_to(made, server.address, way=way)
        async with echo_client(address) as client, echo_client(address) as patient:
            others = [client.bidi(), patient.bidi()]
            for call in others:
                await call.write(b"before")
                assert await call.read() == b"before"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.unary(b"x", metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            for call in others:
                await call.write(b"after")
                assert await call.read() == b"after"
                await call.done_writing()
                assert await call.code() is grpc.StatusCode.OK


@every_way
async def test_the_limit_of_a_head_is_the_one_that_was_set(way: str) -> None:
    limits = Limits(header_list_bytes=1 << 20, header_fields=500)
    async with (
        engine(limits=limits) as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=way)) as client,
    ):
        big = "h" * 102_400
        assert await client.unary(b"x", metadata=(("x-big", big),)) == b"x"
        assert server.seen.metadata[0]["x-big"] == big
        call = client.unary(b"x", metadata=(("x-trailers", "1,81920"),))
        assert dict(await call.trailing_metadata() or ())["x-0"] == "t" * 81_920


async def test_no_endpoint_is_unavailable_for_grpc() -> None:
    async with engine(failfast_ns=50_000_000) as made:
        _target, address = made.outbound()
        async with echo_client(address) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.unary(b"x", timeout=10 * patience())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "fail-fast" in (caught.value.details() or "")


async def test_many_concurrent_calls_share_connections() -> None:
    async with (
        engine() as made,
        echo_server() as server,
        echo_client(way_to(made, server.address, way=TLS)) as client,
    ):
        answers = await asyncio.gather(*(client.unary(b"%d" % i) for i in range(300)))
    assert answers == [b"%d" % i for i in range(300)]


@pytest.mark.parametrize("limit", [1, 10])
async def test_a_burst_of_calls_to_a_server_that_takes_few_at_a_time(limit: int) -> None:
    """The first ones come before anybody can know how many."""
    async with (
        engine(failfast_ns=30_000_000_000) as made,
        echo_server(options=[("grpc.max_concurrent_streams", limit)]) as server,
        echo_client(made.inbound(server.address)) as client,
    ):
        for _ in range(2):
            answers = await asyncio.gather(*(client.unary(b"hello") for _ in range(60)))
            assert answers == [b"hello"] * 60
