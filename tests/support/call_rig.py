"""A server of calls on a loop that the test drives, and clients of it: with `h2` where they follow the rules,
and byte by byte where they do not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events

from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.route.call_server import CallServer
from tests.support.route_rig import End, Rig

CALL = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/a.Service/Method"),
    (":authority", "test"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


def message(body: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """As it stands on the wire; `length` says another one than it has."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def with_field(name: str, value: str) -> list[tuple[str, str]]:
    """The head of a call, with one field more, or another one."""
    head = dict(CALL)
    head[name] = value
    return list(head.items())


@dataclass
class Asked:
    """What Python was asked."""

    call: Call
    path: bytes
    headers: dict[bytes, bytes]
    request: bytes
    gone: int = 0


@dataclass
class Stream:
    """What a client has heard on one."""

    heads: list[dict[str, str]] = field(default_factory=list)
    body: bytes = b""
    end: str = ""

    @property
    def status(self) -> str:
        return self.heads[-1].get("grpc-status", "") if self.heads else ""

    @property
    def words(self) -> str:
        return self.heads[-1].get("grpc-message", "")


class Client:
    """One that follows the rules of HTTP/2."""

    def __init__(self, end: End, *, reads: bool = True) -> None:
        self.link = end
        self.reads = reads
        config = h2.config.H2Configuration(validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.goaways = 0
        self.h2.initiate_connection()
        self.flush()
        self._taken = 0

    def flush(self) -> None:
        self.link.send(self.h2.data_to_send())

    def begin(self, head: Sequence[tuple[str, str]] = CALL, *, end: bool = False) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.streams[stream] = Stream()
        self.h2.send_headers(stream, list(head), end_stream=end)
        self.flush()
        return stream

    def put(self, stream: int, body: bytes, *, end: bool = True) -> None:
        self.h2.send_data(stream, body, end_stream=end)
        self.flush()

    def ask(self, body: bytes = b"", head: Sequence[tuple[str, str]] = CALL) -> Stream:
        stream = self.begin(head)
        self.put(stream, message(body))
        return self.streams[stream]

    def hear(self) -> None:
        """Whatever has come."""
        received = self.link.take()
        piece, self._taken = received[self._taken :], len(received)
        # `h2` takes nothing after a GOAWAY, though streams go on.
        if not piece or self.goaways:
            return
        for event in self.h2.receive_data(piece):
            self._hear(event)
        self.flush()

    def _hear(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways += 1
            return
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            stream.heads.append({name.decode(): value.decode() for name, value in event.headers})
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if self.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.end = stream.end or "ended"
        elif isinstance(event, h2.events.StreamReset):
            stream.end = stream.end or "reset"


class Calls:
    """A server of calls, and what it was asked; `answer` is asked in turn."""

    def __init__(
        self, rig: Rig, answer: Callable[[Call], object] = lambda _call: None, **options: Any
    ) -> None:
        self.rig = rig
        self.asked: list[Asked] = []
        self.answer = answer
        self.server = CallServer(rig.loop, on_call=self._on_call, **options)
        self.address = self.listen(plain=True)
        self.clients: list[Client] = []

    def listen(self, *, plain: bool) -> tuple[str, int]:
        found = self.server.listen("127.0.0.1", 0, plain=plain)
        return found.host, found.port

    def client(self, *, reads: bool = True) -> Client:
        return self.client_at(self.rig.connect(self.address), reads=reads)

    def client_at(self, end: End, *, reads: bool = True) -> Client:
        self.clients.append(Client(end, reads=reads))
        return self.clients[-1]

    def until(self, truth: Callable[[], object]) -> None:
        def heard() -> object:
            for client in self.clients:
                client.hear()
            return truth()

        self.rig.until(heard)

    def settle(self) -> None:
        """A whole round trip of each client: what came before has been done."""
        for client in self.clients:
            client.h2.ping(b"12345678")
            client.flush()
        for _ in range(20):
            self.rig.loop.drain()
            for client in self.clients:
                client.hear()

    def close(self) -> None:
        self.server.drain()
        self.server.abort_all()
        self.asked.clear()

    def _on_call(
        self, call: Call, path: bytes, headers: list[tuple[bytes, bytes]], request: bytes
    ) -> None:
        asked = Asked(call, path, dict(headers), request)
        self.asked.append(asked)

        def gone() -> None:
            asked.gone += 1

        call.on_gone = gone
        self.answer(call)
