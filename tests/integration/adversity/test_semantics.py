"""What a message means stays what it meant: versions, HEAD, 204, 304, 100-continue, early hints, trailers,
upgrades that fail.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.integration.adversity.hostile_responses import Ends
from tests.integration.adversity.recording_origin import recording_origin
from tests.integration.adversity.rig import behind, close, converse
from tests.integration.adversity.scripted_origin import Scripted, scripted_origin
from tests.support.engine import engine
from tests.support.wait import in_time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Streams = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
both = pytest.mark.parametrize("proxies", [1, 2])


@contextlib.asynccontextmanager
async def server_of(serve: Streams) -> AsyncIterator[tuple[str, int]]:
    """A server whose connections the test plays; whatever a play raises fails the test."""
    failures: list[BaseException] = []
    writers: set[asyncio.StreamWriter] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:  # noqa: BLE001 - told to the test below
            failures.append(error)
        writers.discard(writer)
        await close(writer)

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()
    for writer in list(writers):
        writer.close()
    await server.wait_closed()
    assert not failures, failures


async def ask_once(
    wire: bytes, response: bytes, *, proxies: int, ends: Ends = Ends.STAYS
) -> tuple[bytes, Scripted]:
    """One scripted exchange on a connection that the request closes."""
    async with engine() as made, scripted_origin(lambda _head: (response, ends)) as server:
        got, _ = await converse(
            behind(made, server.address, proxies=proxies), wire, half_close=False
        )
    return got, server


@both
async def test_1_0_with_host_stays_1_0(proxies: int) -> None:
    got, server = await ask_once(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", OK, proxies=proxies)
    assert server.heads[0].startswith(b"GET /x HTTP/1.0\r\n")
    assert got.startswith(b"HTTP/1.")
    assert got.endswith(b"\r\n\r\nok")
    assert b"transfer-encoding" not in got.lower()


@both
async def test_1_0_without_host_gets_none(proxies: int) -> None:
    got, server = await ask_once(b"GET /x HTTP/1.0\r\n\r\n", OK, proxies=proxies)
    assert server.heads[0].startswith(b"GET /x HTTP/1.0\r\n")
    assert b"host:" not in server.heads[0].lower()
    assert got.endswith(b"\r\n\r\nok")


@both
async def test_1_0_body_without_length_ends_by_close(proxies: int) -> None:
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    got, _ = await ask_once(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n", response, proxies=proxies)
    assert b"transfer-encoding" not in got.lower()
    assert got.endswith(b"\r\n\r\nok")


@both
async def test_1_0_keep_alive_when_asked_for(proxies: int) -> None:
    async with engine() as made, scripted_origin(lambda _head: (OK, Ends.STAYS)) as server:
        reader, writer = await asyncio.open_connection(
            *behind(made, server.address, proxies=proxies)
        )
        for _ in range(2):
            writer.write(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            head = await in_time(reader.readuntil(b"\r\n\r\nok"), 10)
            assert b"connection: keep-alive" in head.lower()
        await close(writer)


@both
@pytest.mark.parametrize("length", [b"Content-Length: 12345\r\n", b""])
async def test_head_keeps_its_length_and_the_connection(length: bytes, proxies: int) -> None:
    def play(head: bytes) -> tuple[bytes, Ends]:
        return (
            b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" if head.startswith(b"HEAD") else OK
        ), Ends.STAYS

    async with engine() as made, scripted_origin(play) as server:
        address = behind(made, server.address, proxies=proxies)
        got, _ = await converse(
            address,
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
    head, rest = got.split(b"\r\n\r\n", 1)
    assert (b"content-length: 12345" in head.lower()) is bool(length)
    assert b"transfer-encoding" not in head.lower()
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b"ok")


@both
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_bodyless_statuses_keep_the_connection(status: bytes, proxies: int) -> None:
    response = (
        b"HTTP/1.1 "
        + status
        + b"\r\nETag: x\r\n"
        + (b"Content-Length: 9\r\n" if status[:1] == b"3" else b"")
        + b"\r\n"
    )
    async with engine() as made, scripted_origin(lambda _head: (response, Ends.STAYS)) as server:
        reader, writer = await asyncio.open_connection(
            *behind(made, server.address, proxies=proxies)
        )
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await in_time(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 " + status[:3])
            assert (b"content-length: 9" in head.lower()) is (status[:1] == b"3")
        await close(writer)


@both
async def test_length_zero_is_kept_both_ways(proxies: int) -> None:
    async with engine() as made, recording_origin() as server:
        address = behind(made, server.address, proxies=proxies)
        await converse(
            address,
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        await converse(address, b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert server.requests[0].all(b"content-length") == [b"0"]
    assert server.requests[1].all(b"content-length") == []
    assert server.requests[1].all(b"transfer-encoding") == []
    got, _ = await ask_once(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        proxies=proxies,
    )
    assert b"content-length: 0" in got.lower()
    assert b"transfer-encoding" not in got.lower()


@both
async def test_100_continue_comes_from_the_server(proxies: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"expect: 100-continue" in head.lower()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        writer.write(OK)
        await reader.read()

    async with engine() as made, server_of(serve) as server:
        reader, writer = await asyncio.open_connection(*behind(made, server, proxies=proxies))
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        interim = await in_time(reader.readuntil(b"\r\n\r\n"), 10)
        assert interim.startswith(b"HTTP/1.1 100")
        writer.write(b"hello")
        assert (await in_time(reader.readuntil(b"\r\n\r\nok"), 10)).startswith(b"HTTP/1.1 200")
        await close(writer)


@both
async def test_a_final_status_instead_of_100_ends_the_exchange(proxies: int) -> None:
    def play(head: bytes) -> tuple[bytes, Ends]:
        if b"POST" in head:
            return b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno", Ends.STAYS
        return OK, Ends.STAYS

    async with engine() as made, scripted_origin(play) as server:
        address = behind(made, server.address, proxies=proxies)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n"
        )
        got = await in_time(reader.readuntil(b"\r\n\r\nno"), 10)
        assert got.startswith(b"HTTP/1.1 417")
        # The client may still send its body: it must not become a request anywhere.
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX: 1234567890\r\n\r\n")
            await writer.drain()
        await close(writer)
        again, _ = await converse(
            address, b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    assert again.endswith(b"\r\n\r\nok")
    assert not any(b"smuggled" in head for head in server.heads)


@both
async def test_an_early_answer_stops_the_upload_and_poisons_nothing(proxies: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(OK)
                continue
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
            # What comes now is the rest of a body or nothing, never a request.
            assert b"GET" not in await reader.read()
            return

    async with engine() as made, server_of(serve) as server:
        address = behind(made, server, proxies=proxies)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000)
        )
        got = await in_time(reader.readuntil(b"\r\n\r\nno"), 10)
        assert got.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in got.lower()
        await close(writer)
        for _ in range(3):
            again, _ = await converse(
                address, b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            assert again.endswith(b"\r\n\r\nok")


@both
async def test_early_hints_arrive_in_order(proxies: int) -> None:
    response = (
        b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n" % i for i in range(5)) + OK
    )
    got, _ = await ask_once(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", response, proxies=proxies
    )
    parts = got.split(b"HTTP/1.1 ")[1:]
    assert [part[:3] for part in parts] == [b"103"] * 5 + [b"200"]
    assert [part.lower().split(b"link: </")[1][:1] for part in parts[:5]] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]


@both
async def test_early_hints_are_not_for_1_0(proxies: int) -> None:
    response = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
    got, _ = await ask_once(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", response, proxies=proxies)
    assert b" 103 " not in got
    assert got.endswith(b"\r\n\r\nok")


@both
async def test_request_trailers_arrive(proxies: int) -> None:
    wire = (
        b"POST /x HTTP/1.1\r\nHost: a\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Big: " + b"b" * 10_000 + b"\r\n\r\n"
    )
    async with engine() as made, recording_origin() as server:
        await converse(behind(made, server.address, proxies=proxies), wire)
    assert server.requests[0].body == b"abc"
    assert dict(server.requests[0].trailers) == {b"x-sum": b"7", b"x-big": b"b" * 10_000}


@both
async def test_response_trailers_arrive(proxies: int) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\nX-Big: "
        + b"b" * 10_000
        + b"\r\n\r\n"
    )
    wire = b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, te\r\n\r\n"
    got, _ = await ask_once(wire, response, proxies=proxies)
    assert b"\r\n0\r\n" in got
    assert b"x-sum: 7\r\n" in got.lower()
    assert b"x-big: " + b"b" * 10_000 in got.lower()


@both
@pytest.mark.parametrize("status", [b"200 OK", b"426 Upgrade Required", b"400 Bad Request"])
async def test_a_refused_upgrade_is_an_ordinary_response(status: bytes, proxies: int) -> None:
    def play(head: bytes) -> tuple[bytes, Ends]:
        if b"upgrade: chat" in head.lower():
            return (
                b"HTTP/1.1 " + status + b"\r\nUpgrade: chat\r\nContent-Length: 2\r\n\r\nno",
                Ends.STAYS,
            )
        return OK, Ends.STAYS

    async with engine() as made, scripted_origin(play) as server:
        address = behind(made, server.address, proxies=proxies)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        got = await in_time(reader.readuntil(b"\r\n\r\nno"), 10)
        assert got.startswith(b"HTTP/1.1 " + status[:3])
        assert (b"upgrade: chat" in got.lower()) is (status[:3] == b"426")
        before = server.connections
        writer.write(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await in_time(reader.readuntil(b"\r\n\r\nok"), 10)).startswith(b"HTTP/1.1 200")
        assert server.connections == before + 1
        await close(writer)


@both
async def test_a_refused_upgrade_drops_early_bytes(proxies: int) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
    early = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n" + early
    got, server = await ask_once(wire, response, proxies=proxies)
    assert got.count(b"HTTP/1.1") == 1
    assert len(server.heads) == 1


@both
async def test_connect_refused_by_the_server_is_a_response(proxies: int) -> None:
    response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    early = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n" + early
    got, server = await ask_once(wire, response, proxies=proxies)
    assert got.startswith(b"HTTP/1.1 403")
    assert got.endswith(b"\r\n\r\nno")
    assert len(server.heads) == 1
    assert server.heads[0].startswith(b"CONNECT far.test:443 HTTP/1.1")


@both
async def test_connect_success_loses_framing_fields(proxies: int) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"
    wire = b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\n"
    async with engine() as made, scripted_origin(lambda _head: (response, Ends.CLOSES)) as server:
        got, _ = await converse(behind(made, server.address, proxies=proxies), wire)
    assert got.startswith((b"HTTP/1.1 502", b"HTTP/1.1 200"))
    if got.startswith(b"HTTP/1.1 200"):
        assert b"content-length" not in got.lower()
        assert b"transfer-encoding" not in got.lower()
        assert got.endswith(b"\r\n\r\nhello")


@both
async def test_a_websocket_server_that_dies_resets_the_client(proxies: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi"
        )
        assert await reader.readexactly(2) == b"yo"
        from tests.integration.adversity.scripted_origin import reset

        reset(writer)

    async with engine() as made, server_of(serve) as server:
        reader, writer = await asyncio.open_connection(*behind(made, server, proxies=proxies))
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert (await in_time(reader.readuntil(b"\r\n\r\nhi"), 10)).startswith(b"HTTP/1.1 101")
        writer.write(b"yo")
        with pytest.raises(ConnectionResetError):
            await in_time(reader.read(), 10)
        await close(writer)


@both
async def test_absolute_options_star_survives(proxies: int) -> None:
    async with engine() as made, recording_origin() as server:
        address = behind(made, server.address, proxies=proxies)
        await converse(
            address,
            b"OPTIONS http://svc.test HTTP/1.1\r\nHost: svc.test\r\nConnection: close\r\n\r\n",
        )
        await converse(
            address, b"OPTIONS * HTTP/1.1\r\nHost: svc.test\r\nConnection: close\r\n\r\n"
        )
        await converse(
            address,
            b"GET http://svc.test?a HTTP/1.1\r\nHost: svc.test\r\nConnection: close\r\n\r\n",
        )
    assert [request.target for request in server.requests] in (
        [b"http://svc.test", b"*", b"http://svc.test?a"],
        [b"http://svc.test", b"*", b"http://svc.test/?a"],
    )
    assert all(request.all(b"host") == [b"svc.test"] for request in server.requests)
