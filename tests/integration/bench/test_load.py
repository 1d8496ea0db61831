"""The load generator against servers that answer rightly and wrongly: its counts must show which."""

import asyncio
import base64
import hashlib
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as websocket_serve

from tests.support.load_program import (
    DEADLINE_S,
    NATIVE,
    compile_load,
    http1,
    last_line,
    load,
    started,
)
from tests.support.load_targets import (
    Handler,
    Http2Answer,
    Http2Server,
    echo,
    grpc_messages,
    http1_response,
    pattern,
    read_request,
    reset,
    serve,
)
from tests.support.ports import free_address
from tests.support.processes import Child
from tests.support.wait import in_time

GOOD = http1_response(pattern(128))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator."""
    return compile_load(tmp_path_factory.mktemp("load"))


def every_third(wrong: bytes, right: bytes = GOOD) -> Callable[[int], bytes]:
    return lambda index: wrong if index % 3 == 2 else right


# HTTP/1


async def test_right_answers_are_counted_and_their_requests_are_as_told(program: Path) -> None:
    requests: list[bytes] = []
    async with serve(http1(lambda _: GOOD, requests)) as address:
        report = await load(
            program,
            "http1",
            address,
            "--path",
            "/a?b",
            "--authority",
            "web.test",
            "--connections",
            3,
        )
    assert (report["exchanges"], report["errors"], report["error_kinds"]) == (20, 0, {})
    assert (report["bytes"], report["cpu_ns"]) == (20 * 128, None)
    assert set(requests) == {b"GET /a?b HTTP/1.1\r\nhost: web.test\r\n\r\n"}
    assert 0 < report["p50_us"] <= report["p90_us"] <= report["p99_us"] <= report["max_us"]
    assert 0 < report["mean_us"] <= report["max_us"]
    assert report["own_cpu_ns"] > 0


async def test_a_body_is_posted(program: Path) -> None:
    requests: list[bytes] = []
    async with serve(http1(lambda _: GOOD, requests)) as address:
        report = await load(program, "http1", address, "--request-bytes", 100_000)
    assert (report["exchanges"], report["errors"]) == (20, 0)
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert b"\r\ncontent-length: 100000" in head
    assert body == pattern(100_000)


@pytest.mark.parametrize("size", [0, 1, 128, 300_000])
async def test_a_response_may_come_in_any_pieces(program: Path, size: int) -> None:
    body = pattern(size)
    response = http1_response(body)
    cuts = [1, 9, 30, len(response) - size - 3, len(response) - size - 1, len(response) - 1]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for start, end in zip([0, *cuts], [*cuts, len(response)], strict=True):
                writer.write(response[start:end])
                await writer.drain()
                await asyncio.sleep(0)

    async with serve(handle) as address:
        report = await load(program, "http1", address, "--bytes", size)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20 * size)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_chunked_response_is_right_too(program: Path) -> None:
    body = pattern(128)
    response = (
        CHUNKED + b"7C;x=y\r\n" + body[:124] + b"\r\n4\r\n" + body[124:] + b"\r\n0\r\nt: 1\r\n\r\n"
    )
    async with serve(http1(lambda _: response)) as address:
        report = await load(program, "http1", address)
    assert (report["exchanges"], report["errors"]) == (20, 0)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (http1_response(pattern(128, wrong_at=127)), "body"),
        (http1_response(pattern(128, wrong_at=0)), "body"),
        (http1_response(pattern(127)), "length"),
        (http1_response(pattern(129)), "length"),
        (http1_response(pattern(128), status=503), "status"),
        (GOOD + b"x", "leftover"),
        (GOOD[:-1] + b"", "early_close"),
        (b"", "early_close"),
        (GOOD[:20], "early_close"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 12x\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"a" * 20_000, "malformed"),
        (CHUNKED + b"zz\r\n", "malformed"),
        (CHUNKED + b"\r\n", "malformed"),
        (CHUNKED + b"81\r\n" + pattern(129), "length"),
        (CHUNKED + b"7f\r\n" + pattern(127) + b"\r\n0\r\n\r\n", "length"),
        (CHUNKED + b"80\r\n" + pattern(128) + b"\r\n0\r\n\r\nx", "leftover"),
    ],
)
async def test_a_wrong_answer_is_an_error_of_its_kind_and_the_connection_is_replaced(
    program: Path, wrong: bytes, kind: str
) -> None:
    respond = every_third(wrong)
    index = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal index
        while True:
            await read_request(reader)
            response = respond(index)
            index += 1
            writer.write(response)
            if response is wrong and kind == "early_close":
                return
            await writer.drain()

    async with serve(handle) as address:
        report = await load(program, "http1", address)
    assert (report["exchanges"], report["error_kinds"]) == (20, {kind: 9})


async def test_a_reset_is_an_error(program: Path) -> None:
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            await read_request(reader)
            count += 1
            if count % 3 == 0:
                reset(writer)
                return
            writer.write(GOOD)

    async with serve(handle) as address:
        report = await load(program, "http1", address)
    assert (report["exchanges"], report["error_kinds"]) == (20, {"reset": 9})


@pytest.mark.parametrize(
    "options",
    [("http1",), ("http1", "--close"), ("http2",), ("tcp-connect",), ("http1", "--rate", 100)],
)
async def test_nobody_listening_is_an_error_and_the_run_ends(
    program: Path, options: tuple[object, ...]
) -> None:
    host, port = free_address()
    protocol, *words = options
    report = await load(program, str(protocol), f"{host}:{port}", "--seconds", 0.2, *words)
    assert report["exchanges"] == 0
    assert list(report["error_kinds"]) == ["refused"]
    assert 1 <= report["errors"] < 1000  # it does not hammer


async def test_a_connection_the_server_announces_to_close_is_replaced_without_error(
    program: Path,
) -> None:
    last = http1_response(pattern(128), extra="Connection: close\r\n")
    async with serve(http1(every_third(last))) as address:
        report = await load(program, "http1", address, "--connections", 2)
    assert (report["exchanges"], report["errors"]) == (20, 0)


async def test_connections_are_spread_over_the_targets(program: Path) -> None:
    seen: list[list[bytes]] = [[], []]
    async with (
        serve(http1(lambda _: GOOD, seen[0])) as first,
        serve(http1(lambda _: GOOD, seen[1])) as second,
    ):
        report = await load(
            program, "http1", f"{first},{second}", "--connections", 4, "--limit", 100
        )
    assert (report["exchanges"], report["errors"]) == (100, 0)
    assert all(len(requests) >= 10 for requests in seen)


# A connection for each exchange


async def test_with_close_each_exchange_has_a_connection_of_its_own(program: Path) -> None:
    clients: list[tuple[str, int]] = []
    heads: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer.get_extra_info("peername"))
        head, _ = await read_request(reader)
        heads.append(head)
        writer.write(http1_response(pattern(128), extra="Connection: close\r\n"))

    async with serve(handle) as address:
        report = await load(program, "http1", address, "--close", "--connections", 4)
    assert (report["exchanges"], report["errors"]) == (20, 0)
    assert 20 <= len(set(clients)) == len(clients) <= 28
    assert len({host for host, _ in clients}) == len(clients)
    assert all(b"\r\nconnection: close\r\n" in head for head in heads)


async def test_with_close_an_exchange_lasts_until_the_server_has_closed(program: Path) -> None:
    async with serve(http1(lambda _: GOOD)) as address:
        report = await load(
            program, "http1", address, "--close", "--connections", 3, "--seconds", 0.2
        )
    assert (report["exchanges"], report["errors"], report["unfinished"]) == (0, 0, 3)


async def test_with_close_a_short_body_is_an_error(program: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD[:-1])

    async with serve(handle) as address:
        report = await load(program, "http1", address, "--close", "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, ["early_close"])


async def test_tcp_connect_opens_asks_one_byte_and_closes(program: Path) -> None:
    received: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        received.append(await reader.read())

    async with serve(handle) as address:
        report = await load(program, "tcp-connect", address, "--connections", 2)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20)
    assert set(received) == {b""}


# TCP


@pytest.mark.parametrize("size", [1, 100, 2_000_000])
async def test_tcp_echo(program: Path, size: int) -> None:
    async with serve(echo) as address:
        report = await load(program, "tcp", address, "--request-bytes", size, "--connections", 2)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20 * size)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (pattern(100, wrong_at=99), "body"),
        (pattern(101), "leftover"),
        (pattern(99), "early_close"),
    ],
)
async def test_a_wrong_echo_is_an_error(program: Path, answer: bytes, kind: str) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(100) == pattern(100)
        writer.write(answer)

    async with serve(handle) as address:
        report = await load(program, "tcp", address, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, [kind])


# HTTP/2 and gRPC


async def test_http2_streams_share_a_connection(program: Path) -> None:
    server = Http2Server(lambda _: Http2Answer(pattern(128)), together=5)
    async with serve(server.handle) as address:
        report = await load(
            program, "http2", address, "--streams", 5, "--path", "/p", "--authority", "web.test"
        )
    assert (report["exchanges"], report["errors"]) == (20, 0)
    assert server.most_waiting == 5
    headers, body = server.requests[0]
    assert headers == {
        b":method": b"GET",
        b":scheme": b"http",
        b":authority": b"web.test",
        b":path": b"/p",
    }
    assert body == b""


async def test_http2_posts_a_body(program: Path) -> None:
    server = Http2Server(lambda _: Http2Answer(pattern(128)))
    async with serve(server.handle) as address:
        report = await load(program, "http2", address, "--request-bytes", 100_000)
    assert (report["exchanges"], report["errors"]) == (20, 0)
    headers, body = server.requests[0]
    assert (headers[b":method"], body) == (b"POST", pattern(100_000))


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (Http2Answer(pattern(128, wrong_at=5)), "body"),
        (Http2Answer(pattern(127)), "length"),
        (Http2Answer(pattern(129)), "length"),
        (Http2Answer(pattern(128), headers=[(":status", "404")]), "status"),
        (Http2Answer(reset_code=2), "stream_reset"),
    ],
)
async def test_a_wrong_http2_answer_is_an_error(
    program: Path, wrong: Http2Answer, kind: str
) -> None:
    right = Http2Answer(pattern(128))
    server = Http2Server(lambda index: right if index % 3 else wrong)
    async with serve(server.handle) as address:
        report = await load(program, "http2", address)
    assert (report["exchanges"], report["error_kinds"]) == (20, {kind: 9})


async def test_a_session_that_goes_away_is_replaced_without_error(program: Path) -> None:
    server = Http2Server(lambda _: Http2Answer(pattern(128)), goaway_after=3)
    async with serve(server.handle) as address:
        report = await load(program, "http2", address)
    assert (report["exchanges"], report["errors"]) == (20, 0)


async def test_a_server_that_does_not_speak_http2_is_malformed(program: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async with serve(handle) as address:
        report = await load(program, "http2", address, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, ["malformed"])


async def test_a_session_given_up_in_the_middle_is_replaced(program: Path) -> None:
    """A frame that is not allowed, between responses of which others are still awaited."""
    server = Http2Server(lambda _: Http2Answer(pattern(128)), together=2)
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            writer.write(b"\0\0\0\x04\0\0\0\0\0")  # settings: it is ready
            await reader.read(10)
            writer.write(b"\0\0\x01\x06\0\0\0\0\0x")  # a ping of one byte
            await reader.read()
        else:
            await server.handle(reader, writer)

    async with serve(handle) as address:
        report = await load(program, "http2", address, "--streams", 2)
    assert (report["exchanges"], list(report["error_kinds"])) == (20, ["malformed"])


OK_TRAILERS = [("grpc-status", "0")]


async def test_grpc_messages_and_trailers(program: Path) -> None:
    body = grpc_messages(*[pattern(50)] * 3)
    server = Http2Server(lambda _: Http2Answer(body, trailers=OK_TRAILERS))
    async with serve(server.handle) as address:
        report = await load(
            program,
            "grpc",
            address,
            "--messages",
            3,
            "--bytes",
            50,
            "--request-bytes",
            70,
            "--streams",
            4,
        )
    assert (report["exchanges"], report["messages"], report["errors"]) == (20, 60, 0)
    assert report["bytes"] == 20 * 150
    headers, body = server.requests[0]
    assert body == grpc_messages(pattern(70))
    assert headers[b":method"] == b"POST"
    assert (headers[b"content-type"], headers[b"te"]) == (b"application/grpc", b"trailers")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (Http2Answer(grpc_messages(*[pattern(50)] * 2)), "trailers"),
        (
            Http2Answer(grpc_messages(*[pattern(50)] * 2), trailers=[("grpc-status", "2")]),
            "trailers",
        ),
        (Http2Answer(grpc_messages(pattern(50)), trailers=OK_TRAILERS), "length"),
        (Http2Answer(grpc_messages(*[pattern(50)] * 3), trailers=OK_TRAILERS), "length"),
        (Http2Answer(grpc_messages(*[pattern(49)] * 2), trailers=OK_TRAILERS), "length"),
        (
            Http2Answer(grpc_messages(pattern(50), pattern(50, wrong_at=49)), trailers=OK_TRAILERS),
            "body",
        ),
        (Http2Answer(b"\1" + grpc_messages(pattern(50))[1:], trailers=OK_TRAILERS), "malformed"),
    ],
)
async def test_a_wrong_grpc_answer_is_an_error(
    program: Path, wrong: Http2Answer, kind: str
) -> None:
    right = Http2Answer(grpc_messages(*[pattern(50)] * 2), trailers=OK_TRAILERS)
    server = Http2Server(lambda index: right if index % 3 else wrong)
    async with serve(server.handle) as address:
        report = await load(program, "grpc", address, "--messages", 2, "--bytes", 50)
    assert (report["exchanges"], report["error_kinds"]) == (20, {kind: 9})


# WebSocket


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 900_000])
async def test_websocket_frames_of_every_length_form(program: Path, size: int) -> None:
    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            assert message == pattern(size)
            await connection.ping()
            await connection.send(message)

    async with websocket_serve(handle, "127.0.0.1", 0, compression=None) as server:
        address = "{}:{}".format(*next(iter(server.sockets)).getsockname())
        report = await load(program, "websocket", address, "--request-bytes", size)
    assert (report["exchanges"], report["errors"], report["bytes"]) == (20, 0, 20 * size)


async def test_a_websocket_message_may_come_in_fragments(program: Path) -> None:
    body = pattern(100)
    frames = b"\x02\x28" + body[:40] + b"\x89\x02hi" + b"\x80\x3c" + body[40:]
    async with serve(websocket_answering(frames)) as address:
        report = await load(program, "websocket", address)
    assert (report["exchanges"], report["errors"]) == (20, 0)


def websocket_answering(frames: bytes, *, accept: str | None = None) -> Handler:
    """Upgrades, then answers each masked frame of 100 bytes with `frames`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        key = head.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        granted = accept or base64.b64encode(digest).decode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + granted.encode() + b"\r\n\r\n"
        )
        while True:
            opcode, length = await reader.readexactly(2)
            await reader.readexactly(4 + (length & 0x7F))
            if opcode == 0x82:
                writer.write(frames)

    return handle


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (b"\x82\x64" + pattern(100, wrong_at=99), "body"),
        (b"\x82\x63" + pattern(99), "length"),
        (b"\x82\x65" + pattern(101), "length"),
        (b"\x81\x64" + pattern(100), "malformed"),
        (b"\x82\xe4\0\0\0\0" + pattern(100), "malformed"),
        (b"\x82\x64" + pattern(100) + b"\x82", "leftover"),
        (b"\x88\x00", "early_close"),
    ],
)
async def test_a_wrong_websocket_answer_is_an_error(
    program: Path, frames: bytes, kind: str
) -> None:
    async with serve(websocket_answering(frames)) as address:
        report = await load(program, "websocket", address, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, [kind])


async def test_a_wrong_accept_key_is_an_error(program: Path) -> None:
    frames = b"\x82\x64" + pattern(100)
    wrong = websocket_answering(frames, accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    async with serve(wrong) as address:
        report = await load(program, "websocket", address, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, ["handshake"])


async def test_a_refused_upgrade_is_an_error(program: Path) -> None:
    async with serve(http1(lambda _: GOOD)) as address:
        report = await load(program, "websocket", address, "--seconds", 0.2)
    assert (report["exchanges"], list(report["error_kinds"])) == (0, ["handshake"])


# Time


def stalling_once(after: int, stall_s: float) -> Handler:
    """Answers at once, except that after `after` requests everything stands still for a while."""
    count = 0
    going = asyncio.Event()
    going.set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            await read_request(reader)
            count += 1
            if count == after:
                going.clear()
                asyncio.get_running_loop().call_later(stall_s, going.set)
            await going.wait()
            writer.write(GOOD)

    return handle


async def test_an_open_loop_counts_the_time_requests_waited_to_be_sent(program: Path) -> None:
    async with serve(stalling_once(100, 0.4)) as address:
        report = await load(
            program, "http1", address, "--connections", 2, "--rate", 500, "--seconds", 1
        )
    assert report["errors"] == 0
    # 200 of 500 requests are due during the stall; at most two of them are under way.
    assert report["max_us"] >= 390_000
    assert report["p90_us"] >= 250_000
    # All that were due are counted, and a machine that wakes the program late ends it late.
    assert 497 <= report["exchanges"] + report["unfinished"] <= 600


async def test_a_closed_loop_sees_the_same_stall_once_per_connection(program: Path) -> None:
    async with serve(stalling_once(100, 0.4)) as address:
        report = await load(program, "http1", address, "--connections", 2, "--limit", 400)
    assert report["max_us"] >= 390_000
    assert report["p90_us"] < 250_000


async def test_poisson_arrivals_keep_the_rate(program: Path) -> None:
    async with serve(http1(lambda _: GOOD)) as address:
        words = ["--connections", 8, "--rate", 1000, "--arrivals", "poisson", "--seconds", 1]
        report = await load(program, "http1", address, *words)
    assert report["errors"] == 0
    assert 850 <= report["exchanges"] + report["unfinished"] <= 1150


async def test_latency_is_that_of_the_server_and_the_histogram_holds_every_exchange(
    program: Path, tmp_path: Path
) -> None:
    delay_s = 0.02

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(delay_s)
            writer.write(GOOD)

    file = tmp_path / "latencies.json"
    async with serve(handle) as address:
        report = await load(program, "http1", address, "--histogram", file)
    buckets = json.loads(file.read_text())
    assert sum(count for _, count in buckets) == report["exchanges"] == 20
    assert report["p50_us"] >= buckets[0][0] >= delay_s * 1e6 * 0.99
    mean = sum(middle * count for middle, count in buckets) / 20
    assert mean == pytest.approx(report["mean_us"], rel=0.01)


async def test_the_warm_up_is_not_measured(program: Path) -> None:
    requests: list[bytes] = []
    async with serve(http1(lambda _: GOOD, requests)) as address:
        report = await load(program, "http1", address, "--warmup", 0.3)
    assert report["exchanges"] == 20 < len(requests) - 1


async def test_processor_time_of_watched_processes_includes_their_children(
    program: Path, tmp_path: Path
) -> None:
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    busy = "print('busy', flush=True)\nwhile True: pass"
    argv = [sys.executable, "-c", parent, busy]
    with Child.start(argv, log=tmp_path / "busy.log") as child:
        child.wait_for_line("busy")
        async with serve(http1(lambda _: GOOD)) as address:
            words = ["--seconds", 0.5, "--rate", 10, "--watch", child.pid]
            report = await load(program, "http1", address, *words)
    assert 20e6 < report["cpu_ns"] < 550e6


async def test_processor_time_of_a_process_that_has_ended_is_unknown(
    program: Path, tmp_path: Path
) -> None:
    with Child.start(
        [sys.executable, "-c", "import signal; signal.pause()"], log=tmp_path / "ends.log"
    ) as child:
        ended = asyncio.Event()
        ordinary = stalling_once(1, 0)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            child.kill()  # and waited for: nothing is left of it
            ended.set()
            await ordinary(reader, writer)

        async with serve(handle) as address:
            report = await load(program, "http1", address, "--watch", child.pid)
    assert ended.is_set()
    assert (report["exchanges"], report["cpu_ns"]) == (20, None)


# Operation


async def test_held_connections_stay_open_and_are_counted_at_the_end(program: Path) -> None:
    leave, left = asyncio.Event(), asyncio.Semaphore(0)
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        requests.append(head)
        writer.write(GOOD)
        if len(requests) <= 3:
            await leave.wait()
            writer.write_eof()
            assert await reader.read() == b""
            left.release()
        else:
            await reader.read()

    async with serve(handle) as address:
        words = ["--protocol", "http1", "--target", address, "--connections", 50, "--hold"]
        async with started(program, *words) as process:
            assert process.stdin is not None and process.stdout is not None
            line = await in_time(process.stdout.readline(), DEADLINE_S)
            assert json.loads(line) == {"held": 50}
            leave.set()
            for _ in range(3):
                await in_time(left.acquire(), DEADLINE_S)
            process.stdin.close()
            report = await last_line(process)
    assert (report["held"], report["exchanges"], report["errors"]) == (47, 50, 0)
    assert len(requests) == 50


@pytest.mark.parametrize("protocol", ["http1", "http2", "tcp"])
async def test_it_ends_orderly_on_sigterm(program: Path, protocol: str) -> None:
    server = Http2Server(lambda _: Http2Answer(pattern(128)))
    handlers = {"http1": http1(lambda _: GOOD), "http2": server.handle, "tcp": echo}
    asked = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await handlers[protocol](reader, writer)

    async with serve(handle) as address:
        words = ["--protocol", protocol, "--target", address, "--seconds", 60, "--warmup", 0]
        async with started(program, *words) as process:
            await in_time(asked.wait(), DEADLINE_S)
            process.send_signal(signal.SIGTERM)
            report = await last_line(process)
    assert report["errors"] == 0
    assert report["seconds"] < 30


async def test_help_explains_every_option(program: Path) -> None:
    async with started(program, "--help") as process:
        output, complaint = await process.communicate()
    assert (process.returncode, complaint) == (0, b"")
    for option in ("--protocol", "--target", "--rate", "--hold", "--watch", "--histogram"):
        assert option in output.decode()


TARGET = ("--target", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "--protocol and --target are needed"),
        (("--protocol", "http3", *TARGET), "--protocol takes"),
        (("--protocol", "http1", "--target", "10.0.0.1:80"), "loopback"),
        (("--protocol", "http1", "--target", "localhost"), "'localhost' is not an address"),
        (
            ("--protocol", "http1", "--target", "127.0.0.1:http"),
            "'127.0.0.1:http' is not an address",
        ),
        (("--protocol", "http1", "--target", "127.0.0.1:65536"), "is not an address"),
        (("--protocol", "http1", "--target", "127.0.0.1:0"), "with a port"),
        (("--protocol", "http1", *TARGET, "--connections", "many"), "--connections takes"),
        (("--protocol", "http1", *TARGET, "--seconds", "nan"), "--seconds takes"),
        (("--protocol", "http1", *TARGET, "--streams", "2"), "--streams is for"),
        (("--protocol", "http2", *TARGET, "--close"), "--close is for"),
        (("--protocol", "http1", *TARGET, "--arrivals", "fixed"), "--arrivals needs --rate"),
        (
            ("--protocol", "http1", *TARGET, "--rate", "5", "--arrivals", "bursts"),
            "--arrivals takes",
        ),
        (("--protocol", "tcp-connect", *TARGET, "--hold"), "--hold cannot"),
        (("--protocol", "tcp", *TARGET, "--request-bytes", "0"), "at least 1"),
        (("--protocol", "http1", *TARGET, "--watch", str(2**22 + 1)), "no such process"),
        (("--protocol", "http1", *TARGET, "--connections", "999999"), "open files"),
        (("--protocol", "http1", *TARGET, "extra"), "'extra' is not an option"),
        (("--protocol", "http1", *TARGET, "--extra"), "unrecognized option"),
        (
            ("--protocol", "http1", *TARGET, "--histogram", "/no/such/folder/file"),
            "--histogram /no",
        ),
    ],
)
async def test_bad_input_is_named_in_one_line(
    program: Path, words: tuple[str, ...], complaint: str
) -> None:
    async with started(program, *words) as process:
        output, said = await in_time(process.communicate(), DEADLINE_S)
    assert (process.returncode, output) == (1, b"")
    assert said.count(b"\n") == 1
    assert complaint in said.decode()


def test_the_expected_accept_key_is_that_of_the_key() -> None:
    """Both are constants of the source."""
    source = (NATIVE / "load_websocket.c").read_text()
    key, accept = (
        source.partition(f"#define {name} ")[2].split('"')[1] for name in ("KEY", "ACCEPT")
    )
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert base64.b64encode(digest).decode() == accept
