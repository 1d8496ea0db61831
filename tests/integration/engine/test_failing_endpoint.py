"""One endpoint of several is broken, and hardly a request sees it: every way of failing, over real sockets,
counted.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
import grpc.aio
import pytest

from linkerd2_py._ext.route.target import Target
from tests.support.engine import MS, Engine, engine
from tests.support.wait import eventually_async, in_time

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
# Not to be sent twice by the proxy, so that a failure is one that the client sees.
REQUEST = b"POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
LEARNING, LEARNED = 100, 200
METHOD = "/l5d.test.Broken/Stream"


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[tuple[str, int]]:
    open_now: set[asyncio.StreamWriter] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        open_now.discard(writer)
        await end(writer.close, writer)

    made = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield made.sockets[0].getsockname()
    finally:
        made.close()
        for writer in list(open_now):
            await end(writer.transport.abort, writer)


def end_with_reset(writer: asyncio.StreamWriter) -> None:
    opened: socket.socket = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def end(how: Callable[[], None], writer: asyncio.StreamWriter) -> None:
    how()
    with suppress(ConnectionError):
        await writer.wait_closed()


def answers(response: bytes, *, tell: Callable[[], None] = lambda: None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            tell()
            writer.write(response)

    return serve


async def closes(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def closes_at_once(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    end_with_reset(writer)


async def hangs(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")


BROKEN = {
    "closes": closes,
    "closes before the request": closes_at_once,
    "resets": resets,
    "breaks off": breaks_off,
    "502": answers(BAD_GATEWAY),
    "500": answers(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 3\r\n\r\nbad"),
    "503, Retry-After": answers(
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\ncontent-length: 0\r\n\r\n"
    ),
    "429": answers(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"),
}


async def ask(address: tuple[str, int], deadline_s: float = 10) -> bool:
    """Whether one request was served in time. A client that gives up resets its connection."""
    reader, writer = await asyncio.open_connection(*address)
    end_with_reset(writer)
    try:
        writer.write(REQUEST)
        head = await in_time(reader.readuntil(b"\r\n\r\n"), deadline_s)
        body = await in_time(reader.read(), deadline_s)
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        return False
    else:
        return head.startswith(b"HTTP/1.1 200") and body == b"ok"
    finally:
        await end(writer.transport.abort, writer)


async def failures(address: tuple[str, int], count: int, *, clients: int = 1) -> int:
    async def many() -> int:
        return sum([not await ask(address) for _ in range(count // clients)])

    return sum(await asyncio.gather(*(many() for _ in range(clients))))


async def replicas(
    made: Engine, stack: AsyncExitStack, *kinds: Serve, **options: bool
) -> tuple[Target, tuple[str, int]]:
    found = [await stack.enter_async_context(server(kind)) for kind in kinds]
    return made.outbound(*found, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", BROKEN)
async def test_one_of_two(kind: str) -> None:
    async with engine() as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, answers(OK), BROKEN[kind])
        assert await failures(address, LEARNING) <= LEARNING / 10
        assert await failures(address, LEARNED) <= LEARNED / 20
        good, broken = target.endpoints_state()
        assert (good["pending"], broken["pending"]) == (0, 0)
        assert (good["failing"], broken["failing"] > 0) == (0, True)


async def test_one_of_two_hangs_and_clients_give_up() -> None:
    given = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal given
        given += 1
        await hangs(reader, writer)

    async with engine() as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, answers(OK), counted)
        for _ in range(LEARNING):
            await ask(address, deadline_s=0.1)
        # Beside the connection that proved it reachable.
        assert given <= 1 + LEARNING / 10
        await eventually_async(
            lambda: [one["pending"] for one in target.endpoints_state()] == [0, 0]
        )
        assert [one["failing"] for one in target.endpoints_state()] == [0, 0]


@pytest.mark.parametrize("kind", ["closes", "502"])
async def test_one_of_four_with_many_clients(kind: str) -> None:
    async with engine() as made, AsyncExitStack() as stack:
        good = answers(OK)
        _target, address = await replicas(made, stack, good, good, good, BROKEN[kind])
        assert await failures(address, 1600, clients=32) <= 80


@pytest.mark.parametrize("kind", ["closes", "resets"])
async def test_one_that_recovers_serves_again(kind: str) -> None:
    mended, served = False, 0

    def tell() -> None:
        nonlocal served
        served += 1

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (answers(OK, tell=tell) if mended else BROKEN[kind])(reader, writer)

    # A short memory, so that the test need not wait for ten seconds.
    async with engine(decay_ns=50 * MS) as made, AsyncExitStack() as stack:
        _target, address = await replicas(made, stack, answers(OK), serve)
        await failures(address, LEARNING)
        mended = True
        await failures(address, 1000, clients=8)
    assert served >= 100


async def test_failures_are_shared_evenly_where_all_fail() -> None:
    async with engine() as made, AsyncExitStack() as stack:
        counts = [0] * 4

        def counting(which: int) -> Serve:
            def tell() -> None:
                counts[which] += 1

            return answers(BAD_GATEWAY, tell=tell)

        _target, address = await replicas(made, stack, *map(counting, range(4)))
        await failures(address, 100)
        counts[:] = [0] * 4
        await failures(address, 400)
    assert min(counts) > 50


async def test_failures_are_left_out_of_account_where_that_is_asked_for() -> None:
    async with engine(penalizes_failures=False) as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, answers(OK), BROKEN["502"])
        await failures(address, 50)
        assert [state["failing"] for state in target.endpoints_state()] == [0, 0]


@pytest.mark.parametrize("date", [False, True])
async def test_retry_after_is_honoured_as_seconds_and_as_a_date(date: bool) -> None:
    asked = b"Fri, 01 Jan 2100 00:00:00 GMT" if date else b"20"
    busy = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n"
    async with engine(decay_ns=MS) as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, answers(OK), answers(busy % asked))
        while target.endpoints_state()[1]["failing"] == 0:
            await failures(address, 1)
        # With a decay of a millisecond only the wish to be left alone is remembered.
        assert await failures(address, 100) == 0
        assert target.endpoints_state()[1]["failing"] == 0.75


# ---- connections that are not HTTP


@pytest.mark.parametrize("kind", ["closes at once", "resets"])
async def test_opaque_connections(kind: str) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))

    async def ends(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "resets":
            end_with_reset(writer)

    async def say(address: tuple[str, int]) -> bool:
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(b"hello")
            return await reader.read(100) == b"hello"
        except ConnectionError:
            return False
        finally:
            await end(writer.close, writer)

    async with engine() as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, echo, ends, opaque=True)
        assert sum([not await say(address) for _ in range(LEARNING)]) <= LEARNING / 10
        assert sum([not await say(address) for _ in range(LEARNED)]) <= LEARNED / 20
        assert target.endpoints_state()[0]["failing"] == 0


async def test_an_opaque_server_that_says_nothing_has_not_failed_when_the_client_ends_first() -> (
    None
):
    async with engine() as made, AsyncExitStack() as stack:
        target, address = await replicas(made, stack, hangs, hangs, opaque=True)
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"a line of a log")
            writer.write_eof()
            assert await reader.read() == b""
            await end(writer.close, writer)
        assert [state["failing"] for state in target.endpoints_state()] == [0, 0]


# ---- gRPC


class Calls(grpc.GenericRpcHandler):
    """Answers one message; or UNAVAILABLE, without a message or after one."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_stream_rpc_method_handler(self.stream)

    async def stream(
        self, _request: bytes, call: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        if self.kind != "without a message":
            yield b"message"
        if self.kind != "good":
            await call.abort(grpc.StatusCode.UNAVAILABLE, "broken")


@asynccontextmanager
async def grpc_server(kind: str) -> AsyncIterator[tuple[str, int]]:
    made = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    made.add_generic_rpc_handlers((Calls(kind),))
    port = made.add_insecure_port("127.0.0.1:0")
    await made.start()
    try:
        yield "127.0.0.1", port
    finally:
        await made.stop(0)


@pytest.mark.parametrize("kind", ["without a message", "in late trailers"])
async def test_grpc_unavailable(kind: str) -> None:
    async with engine() as made, grpc_server("good") as good, grpc_server(kind) as broken:
        target, (host, port) = made.outbound(good, broken)
        async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
            call = channel.unary_stream(METHOD)

            async def failed() -> bool:
                try:
                    return [message async for message in call(b"")] != [b"message"]
                except grpc.aio.AioRpcError as error:
                    return error.code() is grpc.StatusCode.UNAVAILABLE

            assert sum([await failed() for _ in range(LEARNING)]) <= LEARNING / 10
            assert sum([await failed() for _ in range(LEARNED)]) <= LEARNED / 20
        assert target.endpoints_state()[0]["failing"] == 0
