"""The origin of the benchmarks against clients that are not ours, and against raw bytes."""

import asyncio
import base64
import hashlib
import http.client
import itertools
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect as connect_websocket

from tests.support.native import (
    Address,
    body,
    compile_program,
    end,
    next_line,
    parsed,
    refusal,
)
from tests.support.processes import Child
from tests.support.raw_socket import End, RawConnection
from tests.support.wait import patience

GET = b"GET / HTTP/1.1\r\nhost: origin\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
KEY = "AAECAwQFBgcICQoLDA0ODw=="


@dataclass
class Origin:
    """A running origin; `lines` is how many lines of its output have been used."""

    child: Child
    addresses: list[Address]
    lines: int = 1

    @property
    def address(self) -> Address:
        return self.addresses[0]

    def exchanges(self) -> list[int]:
        """What it has answered so far, by listener."""
        self.child.send(signal.SIGUSR1)
        counts: list[int] = next_line(self.child, self.lines)["exchanges"]
        self.lines += 1
        return counts


Start = Callable[..., Origin]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program("origin", tmp_path_factory.mktemp("origin"), libraries=["nghttp2"])


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[Start]:
    """Start origins; at the end each must stop cleanly, also in the eyes of the sanitizers."""
    started: list[Child] = []
    numbers = itertools.count()

    def begin(protocol: str, *arguments: str, listeners: int = 1) -> Origin:
        listen = ",".join(["127.0.0.1:0"] * listeners)
        words: list[str | Path] = [program, "--protocol", protocol, "--listen", listen, *arguments]
        child = Child.start(words, log=tmp_path / f"origin-{next(numbers)}.log")
        started.append(child)
        return Origin(child, [parsed(text) for text in next_line(child, 0)["addresses"]])

    try:
        yield begin
        for child in started:
            if child.process.poll() is None:
                end(child)
    finally:
        for child in started:
            child.kill()


def plain_response(size: int, *, close: bool = False) -> bytes:
    extra = "connection: close\r\n" if close else ""
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\ncontent-type: text/plain\r\n{extra}\r\n"
    return head.encode() + body(size)


# ---- Options


def test_help_names_every_option(program: Path, tmp_path: Path) -> None:
    with Child.start([program, "--help"], log=tmp_path / "help.log") as child:
        assert child.wait() == 0
        for option in ("protocol", "listen", "bytes", "messages", "delay-us", "slow-us", "close"):
            assert f"--{option}" in child.output()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "--protocol and --listen are needed"),
        ("--protocol spdy --listen 127.0.0.1:0", "not 'spdy'"),
        ("--protocol tcp --listen localhost:0", "'localhost:0' is not an address"),
        ("--protocol tcp --listen 127.0.0.1:70000", "is not an address such as"),
        ("--protocol tcp --listen 127.0.0.1:0 --bytes many", "--bytes takes a whole number"),
        ("--protocol tcp --listen 127.0.0.1:0 --slow-index 0", "go together"),
        ("--protocol tcp --listen 127.0.0.1:0 --slow-index 1 --slow-us 5", "takes 0 to 0 here"),
        ("--protocol tcp --listen 127.0.0.1:0 --close", "--close is for http1 only"),
        ("--protocol tcp --listen 127.0.0.1:0 more", "'more' is not an option"),
    ],
)
def test_refuses_bad_arguments_in_one_line(program: Path, arguments: str, words: str) -> None:
    assert words in refusal(program, *arguments.split())


def test_refuses_a_port_that_is_taken(program: Path, start: Start) -> None:
    host, port = start("tcp").address
    line = refusal(program, "--protocol", "tcp", "--listen", f"{host}:{port}")
    assert f"cannot listen on port {port}" in line


@pytest.mark.parametrize(
    ("protocol", "wire"),
    [
        ("http1", b"GET / HTTP/1.1\r\nhalf: "),
        ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"),
        ("tcp", b"x"),
        ("websocket", b"GET"),
    ],
)
def test_ends_at_once_while_connections_are_open(start: Start, protocol: str, wire: bytes) -> None:
    origin = start(protocol, "--delay-us", "10000000")
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(RawConnection.connect(origin.address)).send(wire)
        origin.exchanges()
        assert end(origin.child)["exchanges"] == [0]


# ---- HTTP/1


@pytest.mark.parametrize("size", [0, 1, 128, 10_000, 3_000_000])
def test_http1_answers_any_number_of_requests_on_one_connection(start: Start, size: int) -> None:
    origin = start("http1", "--bytes", str(size))
    with closing(http.client.HTTPConnection(*origin.address, timeout=10 * patience())) as client:
        client.connect()
        sock = client.sock
        for method, sent in [
            ("GET", None),
            ("POST", b"x" * 70_000),
            ("PUT", b""),
            ("DELETE", None),
        ]:
            client.request(method, "/any/path?q=1", body=sent)
            response = client.getresponse()
            assert response.status == 200
            assert response.getheader("content-length") == str(size)
            assert response.getheader("content-type") == "text/plain"
            assert response.read() == body(size)
            assert client.sock is sock
    assert origin.exchanges() == [4]
    assert end(origin.child) == {"exchanges": [4], "body_bytes": [70_000]}


def test_http1_reads_chunked_bodies_to_their_end(start: Start) -> None:
    origin = start("http1")
    with closing(http.client.HTTPConnection(*origin.address, timeout=10 * patience())) as client:
        for pieces in ([b"a" * 16, b"b", b"c" * 100_000], []):
            client.request("POST", "/", body=iter(pieces), encode_chunked=True)
            assert client.getresponse().read() == body(128)
    assert end(origin.child) == {"exchanges": [2], "body_bytes": [100_017]}


CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"A;name=value\r\n0123456789\r\n1  \r\nx\r\n000\r\ntrailer: GET / HTTP/1.1\r\n\r\n"
)
LENGTH = b"POST /a HTTP/1.1\r\nCONTENT-LENGTH:  7\t\r\n\r\nGET /\r\n"


def test_http1_answers_pipelined_requests_of_every_shape_in_order(start: Start) -> None:
    origin = start("http1", "--bytes", "20")
    response = plain_response(20)
    head = response[: -len(body(20))]
    with RawConnection.connect(origin.address) as client:
        client.send((GET + CHUNKED + LENGTH) * 500 + HEAD + GET + HEAD + HEAD + GET)
        expected = response * 1500 + head + response + head + head + response
        assert client.receive(len(expected)) == expected
    assert end(origin.child) == {"exchanges": [1505], "body_bytes": [500 * 18]}


def test_http1_does_not_care_where_requests_are_cut(start: Start) -> None:
    origin = start("http1", "--bytes", "5")
    wire = GET + CHUNKED + HEAD + LENGTH + GET
    response = plain_response(5)
    expected = response * 2 + response[:-5] + response * 2
    for cut in range(1, len(wire)):
        with RawConnection.connect(origin.address) as client:
            client.send(wire[:cut])
            client.send(wire[cut:])
            assert client.receive(len(expected)) == expected
    with RawConnection.connect(origin.address) as client:
        for letter in wire:
            client.send(bytes([letter]))
        assert client.receive(len(expected)) == expected
    assert origin.exchanges() == [5 * len(wire)]


def test_http1_keeps_answering_a_client_that_reads_late(start: Start) -> None:
    origin = start("http1", "--bytes", "1000000")
    response = plain_response(1_000_000)
    with RawConnection.connect(origin.address) as client:
        client.send(GET * 30)
        for _ in range(30):
            assert client.receive(len(response)) == response
    assert origin.exchanges() == [30]


def test_http1_closes_after_each_response_when_told_to(start: Start) -> None:
    origin = start("http1", "--close")
    for request, response in [
        (GET, plain_response(128, close=True)),
        (GET + GET, plain_response(128, close=True)),
        (HEAD, plain_response(128, close=True)[:-128]),
    ]:
        with RawConnection.connect(origin.address) as client:
            client.send(request)
            assert client.receive_to_end() == (response, End.FIN)
    assert origin.exchanges() == [3]


@pytest.mark.parametrize(
    "request_",
    [
        GET.replace(b"\r\n\r\n", b"\r\nConnection: foo, CLOSE\r\n\r\n"),
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_http1_closes_when_the_client_asks_for_it(start: Start, request_: bytes) -> None:
    with RawConnection.connect(start("http1").address) as client:
        client.send(GET + request_)
        expected = plain_response(128) + plain_response(128, close=True)
        assert client.receive_to_end() == (expected, End.FIN)


def test_http1_answers_everything_before_it_follows_the_clients_end(start: Start) -> None:
    with RawConnection.connect(start("http1", "--delay-us", "20000").address) as client:
        client.send(GET + HEAD + GET + b"GET / HT")
        client.half_close()
        response = plain_response(128)
        assert client.receive_to_end() == (response + response[:-128] + response, End.FIN)


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"GET / HTTP/1.1\n\n",
        b"GET /\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / a HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nname : value\r\n\r\n",
        b"GET / HTTP/1.1\r\n: value\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: \r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\na: " + b"x" * 70_000,
        *(
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
            for chunks in (
                b"\r\n",
                b";a\r\n",
                b"x\r\n",
                b"1\n",
                b"1\r \n",
                b"1\r\na0\r\n",
                b"1\r\na\n",
                b"1\r\na\r\r\n",
                b"fffffffffffffffff\r\n",
                b"1;" + b"x" * 70_000,
                b"0\r\na: " + b"x" * 70_000,
            )
        ),
    ],
)
def test_http1_closes_on_malformed_input(start: Start, wire: bytes) -> None:
    origin = start("http1")
    with RawConnection.connect(origin.address) as client:
        client.send(GET)
        assert client.receive(len(plain_response(128))) == plain_response(128)
        client.send(wire)
        assert client.receive_to_end()[0] == b""
    with RawConnection.connect(origin.address) as client:
        client.send(GET)
        assert client.receive(len(plain_response(128))) == plain_response(128)
    assert origin.exchanges() == [2]


# ---- Delays and listeners


def test_counts_the_answers_of_each_listener(start: Start) -> None:
    origin = start("http1", listeners=3)
    assert len(set(origin.addresses)) == 3
    for index, requests in enumerate((3, 0, 5)):
        with RawConnection.connect(origin.addresses[index]) as client:
            client.send(GET * requests)
            client.receive(len(plain_response(128)) * requests)
    assert origin.exchanges() == [3, 0, 5]
    assert end(origin.child)["exchanges"] == [3, 0, 5]


def elapsed_us(address: Address, wire: bytes, size: int) -> float:
    """Microseconds until `size` bytes of answer are here."""
    with RawConnection.connect(address) as client:
        began = time.monotonic()
        client.send(wire)
        client.receive(size)
        return (time.monotonic() - began) * 1e6


def test_no_answer_comes_before_its_delay_and_one_listener_has_its_own(start: Start) -> None:
    words = ["--delay-us", "3000", "--slow-index", "1", "--slow-us", "150000"]
    origin = start("http1", *words, listeners=3)
    size = len(plain_response(128))
    slow = elapsed_us(origin.addresses[1], GET * 2, 2 * size)
    usual = min(elapsed_us(origin.addresses[index], GET, size) for index in (0, 2, 0, 2))
    assert slow >= 150_000
    assert 3_000 <= usual < 150_000


def test_only_the_slow_listener_is_slow(start: Start) -> None:
    origin = start("http1", "--slow-index", "0", "--slow-us", "150000", listeners=2)
    size = len(plain_response(128))
    assert elapsed_us(origin.addresses[0], GET, size) >= 150_000
    assert min(elapsed_us(origin.addresses[1], GET, size) for _ in range(3)) < 150_000


def test_delayed_answers_come_in_order_of_their_requests(start: Start) -> None:
    origin = start("tcp", "--delay-us", "30000", listeners=2)
    with (
        RawConnection.connect(origin.addresses[0]) as first,
        RawConnection.connect(origin.addresses[1]) as second,
    ):
        began = time.monotonic()
        first.send(b"one")
        second.send(b"two")
        assert second.receive(3) == b"two"
        assert first.receive(3) == b"one"
        assert time.monotonic() - began >= 0.030
        first.send(body(3_000_000))
        assert first.receive(3_000_000) == body(3_000_000)


def test_an_answer_for_a_connection_that_is_gone_reaches_nobody(start: Start) -> None:
    origin = start("tcp", "--delay-us", "100000")
    for _ in range(3):
        with RawConnection.connect(origin.address) as client:
            client.send(b"lost")
            client.reset()
    with RawConnection.connect(origin.address) as client:
        client.send(b"own")
        client.half_close()
        assert client.receive_to_end() == (b"own", End.FIN)


# ---- HTTP/2


def text_of(headers: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    """The headers of a session that decodes them."""
    return {str(name): str(value) for name, value in headers}


class Http2Client:
    """Enough of a client over the `h2` state machine: requests, and everything that comes back."""

    def __init__(self, address: Address, *, window: int | None = None) -> None:
        self.sock = socket.create_connection(address, timeout=10 * patience())
        config = h2.config.H2Configuration(header_encoding="utf-8")
        self.session = h2.connection.H2Connection(config)
        self.session.initiate_connection()
        if window is not None:
            setting = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            self.session.update_settings({setting: window})
        self.headers: dict[int, dict[str, str]] = {}
        self.trailers: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.frames: dict[int, list[bytes]] = {}
        self.ended: list[int] = []
        self.ping_answered = False

    def request(
        self, stream: int, *headers: tuple[str, str], method: str = "GET", ended: bool = True
    ) -> None:
        known = [(":scheme", "http"), (":path", "/"), (":authority", "origin")]
        self.session.send_headers(stream, [(":method", method), *known, *headers], end_stream=ended)

    def flush(self) -> None:
        self.sock.sendall(self.session.data_to_send())

    def read_until(self, condition: Callable[[], bool]) -> None:
        self.flush()
        while not condition():
            wire = self.sock.recv(65536)
            assert wire, "the connection ended"
            for event in self.session.receive_data(wire):
                self.handle(event)
            self.flush()

    def handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.headers[event.stream_id] = text_of(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[event.stream_id] = text_of(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.frames.setdefault(event.stream_id, []).append(event.data)
            self.session.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.bodies[event.stream_id] = b"".join(self.frames.get(event.stream_id, []))
            self.ended.append(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.ping_answered = True
        else:
            assert not isinstance(event, h2.events.StreamReset), event

    def close(self) -> None:
        self.sock.close()


@pytest.mark.parametrize("size", [0, 1, 20_000, 1_000_000])
def test_http2_answers_many_streams_at_once(start: Start, size: int) -> None:
    origin = start("http2", "--bytes", str(size))
    with closing(Http2Client(origin.address)) as client:
        streams = range(1, 41, 2)
        for stream in streams:
            client.request(stream, method="PUT" if stream == 5 else "GET")
        client.read_until(lambda: len(client.ended) == len(streams))
        for stream in streams:
            assert client.headers[stream] == {
                ":status": "200",
                "content-type": "text/plain",
                "content-length": str(size),
            }
            assert client.bodies[stream] == body(size)
        client.session.ping(b"12345678")
        client.read_until(lambda: client.ping_answered)
    assert end(origin.child) == {"exchanges": [20], "body_bytes": [0]}


def test_http2_answers_a_request_when_its_body_has_come(start: Start) -> None:
    origin = start("http2")
    with closing(Http2Client(origin.address)) as client:
        client.request(1, method="POST", ended=False)
        client.request(3, method="HEAD")
        client.read_until(lambda: client.ended == [3])
        assert client.bodies[3] == b""
        for _ in range(20):
            client.session.send_data(1, b"x" * 1000)
            client.flush()
        client.session.send_headers(1, [("a", "trailer")], end_stream=True)
        client.read_until(lambda: client.ended == [3, 1])
        assert client.bodies[1] == body(128)
    assert end(origin.child) == {"exchanges": [2], "body_bytes": [20_000]}


def test_http2_respects_the_clients_windows(start: Start) -> None:
    origin = start("http2", "--bytes", "5000")
    with closing(Http2Client(origin.address, window=700)) as client:
        for stream in (1, 3, 5):
            client.request(stream)
        client.read_until(lambda: len(client.ended) == 3)
        assert all(client.bodies[stream] == body(5000) for stream in (1, 3, 5))
        assert max(len(piece) for piece in client.frames[1]) <= 700


def test_http2_forgets_a_stream_that_is_cancelled(start: Start) -> None:
    origin = start("http2", "--bytes", "200000", "--delay-us", "50000")
    with closing(Http2Client(origin.address)) as client:
        for stream in (1, 3, 5):
            client.request(stream)
        client.session.reset_stream(3)
        client.read_until(lambda: len(client.ended) == 2)
        assert sorted(client.ended) == [1, 5]
        assert client.bodies[5] == body(200_000)
        assert 3 not in client.headers


def test_http2_goes_on_after_a_client_left_in_the_middle(start: Start) -> None:
    origin = start("http2", "--bytes", "10000000")
    with closing(Http2Client(origin.address)) as client:
        client.request(1)
        client.request(3, method="POST", ended=False)
        client.read_until(lambda: 1 in client.frames)
    with closing(Http2Client(origin.address)) as client:
        client.request(1)
        client.read_until(lambda: 1 in client.frames)


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x08\x06\0\0\0\0\1" + b"x" * 8,
    ],
)
def test_http2_closes_on_malformed_input(start: Start, wire: bytes) -> None:
    origin = start("http2")
    with RawConnection.connect(origin.address) as client:
        client.send(wire)
        client.receive_to_end()
    assert origin.exchanges() == [0]


def test_http2_answers_curl(start: Start, tmp_path: Path) -> None:
    origin = start("http2", "--bytes", "300000")
    host, port = origin.address
    words: list[str | Path] = [
        "curl",
        "-sS",
        "--http2-prior-knowledge",
        "-o",
        tmp_path / "body",
        "-w",
        "%{http_version}",
    ]
    with Child.start([*words, f"http://{host}:{port}/"], log=tmp_path / "curl.log") as child:
        assert child.wait() == 0
        assert child.output() == "2"
    assert (tmp_path / "body").read_bytes() == body(300_000)


def identity(message: bytes) -> bytes:
    return message


@pytest.mark.parametrize(("messages", "size"), [(1, 0), (1, 100), (1000, 100), (3, 100_000)])
def test_http2_answers_grpc(start: Start, messages: int, size: int) -> None:
    origin = start("http2", "--bytes", str(size), "--messages", str(messages))
    host, port = origin.address
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        call = channel.unary_stream(
            "/package.Service/Method", request_serializer=identity, response_deserializer=identity
        )
        for _ in range(2):
            answers = call(b"request" * 100, timeout=10 * patience())
            assert list(answers) == [body(size)] * messages
            assert answers.code() is grpc.StatusCode.OK
    assert origin.exchanges() == [2]


def test_http2_sends_each_grpc_message_in_a_frame_of_its_own(start: Start) -> None:
    origin = start("http2", "--bytes", "9", "--messages", "4")
    with closing(Http2Client(origin.address)) as client:
        client.request(1, ("content-type", "application/grpc+proto"), method="POST")
        client.read_until(lambda: client.ended == [1])
        assert client.frames[1] == [b"\0\0\0\0\x09" + body(9)] * 4
        assert client.headers[1] == {":status": "200", "content-type": "application/grpc"}
        assert client.trailers[1] == {"grpc-status": "0"}


# ---- TCP


def test_tcp_echoes_everything_and_then_the_end(start: Start) -> None:
    origin = start("tcp")
    sent = body(5_000_000)

    async def exchange() -> bytes:
        reader, writer = await asyncio.open_connection(*origin.address)
        writer.write(sent)
        writer.write_eof()
        try:
            return await reader.read(-1)
        finally:
            writer.close()
            await writer.wait_closed()

    assert asyncio.run(exchange()) == sent
    assert end(origin.child)["body_bytes"] == [len(sent)]


def test_tcp_counts_what_it_echoes(start: Start) -> None:
    origin = start("tcp")
    with RawConnection.connect(origin.address) as client:
        for _ in range(5):
            client.send(b"x" * 100)
            assert client.receive(100) == b"x" * 100
    assert origin.exchanges() == [5]


# ---- WebSocket


def url_of(origin: Origin) -> str:
    host, port = origin.address
    return f"ws://{host}:{port}/chat"


@pytest.mark.parametrize("delay_us", ["0", "2000"])
def test_websocket_echoes_messages_of_any_length(start: Start, delay_us: str) -> None:
    origin = start("websocket", "--delay-us", delay_us)
    sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20]
    with connect_websocket(url_of(origin), max_size=None, compression=None) as client:
        for size in sizes:
            client.send(body(size))
            assert client.recv(timeout=10 * patience()) == body(size)
            client.send(body(size).decode())
            assert client.recv(timeout=10 * patience()) == body(size).decode()
        client.send([b"in ", b"three ", b"frames"])
        assert client.recv(timeout=10 * patience()) == b"in three frames"
        assert client.ping(b"payload").wait(10)
    assert client.close_code == 1000
    assert end(origin.child) == {
        "exchanges": [2 * len(sizes) + 1],
        "body_bytes": [2 * sum(sizes) + 15],
    }


def handshake(*extra: str, key: str = KEY) -> bytes:
    lines = ["GET / HTTP/1.1", "host: o", "connection: Upgrade", "upgrade: websocket", *extra]
    lines += ["sec-websocket-version: 13", f"sec-websocket-key: {key}", "", ""]
    return "\r\n".join(lines).encode()


def frame(first: int, payload: bytes, *, mask: bytes = b"\x01\x82\xf3\x74") -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes([first]) + length + mask + masked


def echo(first: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    return bytes([first]) + length + payload


def accepted() -> bytes:
    digest = hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


FRAMES = [
    (0x82, b"binary"),
    (0x01, b"first"),
    (0x89, b"ping between"),
    (0x00, body(300)),
    (0x8A, b"unsolicited pong"),
    (0x80, b""),
    (0x81, body(126)),
    (0x88, b"\x03\xe8bye"),
]


def echoes() -> bytes:
    answers = [(0x8A if first == 0x89 else first, text) for first, text in FRAMES if first != 0x8A]
    return b"".join(itertools.starmap(echo, answers))


def test_websocket_does_not_care_where_frames_are_cut(start: Start) -> None:
    origin = start("websocket")
    wire = handshake() + b"".join(itertools.starmap(frame, FRAMES))
    for cut in range(1, len(wire)):
        with RawConnection.connect(origin.address) as client:
            client.send(wire[:cut])
            client.send(wire[cut:])
            assert client.receive_to_end() == (accepted() + echoes(), End.FIN)
    assert origin.exchanges() == [3 * (len(wire) - 1)]


def test_websocket_reads_byte_by_byte(start: Start) -> None:
    wire = handshake() + b"".join(itertools.starmap(frame, FRAMES))
    with RawConnection.connect(start("websocket").address) as client:
        for letter in wire:
            client.send(bytes([letter]))
        assert client.receive_to_end() == (accepted() + echoes(), End.FIN)


@pytest.mark.parametrize(
    "wire",
    [
        GET,
        handshake(key="short"),
        handshake("content-length: 3"),
        b"nonsense\r\n\r\n",
        *(
            handshake() + bad
            for bad in (
                echo(0x82, b"unmasked"),
                frame(0xC2, b"reserved bit"),
                frame(0x83, b"reserved opcode"),
                frame(0x8B, b"reserved control"),
                frame(0x09, b"fragmented ping"),
                frame(0x89, b"x" * 126),
                frame(0x80, b"continues nothing"),
                frame(0x02, b"begins") + frame(0x82, b"begins again"),
                b"\x82\xff" + struct.pack("!Q", (1 << 20) + 1),
                b"\x82\xff" + struct.pack("!Q", 1 << 63),
            )
        ),
    ],
)
def test_websocket_closes_on_malformed_input(start: Start, wire: bytes) -> None:
    origin = start("websocket")
    with RawConnection.connect(origin.address) as client:
        client.send(wire)
        received, _ = client.receive_to_end()
        assert re.sub(re.escape(accepted()), b"", received) in (b"", echo(0x02, b"begins"))
    assert origin.exchanges() == [0]


def test_websocket_goes_on_after_a_client_vanished(start: Start) -> None:
    origin = start("websocket")
    with connect_websocket(url_of(origin), compression=None) as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionClosedError):
            client.recv(timeout=10 * patience())
    with connect_websocket(url_of(origin), compression=None) as client:
        client.send("still here")
        assert client.recv(timeout=10 * patience()) == "still here"
