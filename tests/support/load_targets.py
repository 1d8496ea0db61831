"""Small servers for the load generator to ask: right ones, and ones that go wrong in a chosen way.

async with serve(echo) as address:   # "127.0.0.1:41231"
    ...
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Headers = list[tuple[str, str]]


def pattern(size: int, *, wrong_at: int | None = None) -> bytes:
    """The body every benchmark program sends and expects; optionally with one wrong byte."""
    body = bytearray(ord("a") + (i + i // 26) % 26 for i in range(size))
    if wrong_at is not None:
        body[wrong_at] ^= 1
    return bytes(body)


@asynccontextmanager
async def serve(handle: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port, its address; each connection is closed when its handler ends."""
    writers: set[asyncio.StreamWriter] = set()
    running: set[asyncio.Task[None] | None] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        running.add(task)
        writers.add(writer)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the generator ends whenever it likes, and so does the test
        finally:
            writer.close()
            writers.discard(writer)
            running.discard(task)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0, backlog=512, ssl=tls)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        for task in list(running):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one HTTP/1 request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name == b"content-length":
            size = int(value)
    return head, await reader.readexactly(size)


def http1_response(body: bytes, *, status: int = 200, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


@dataclass(slots=True)
class Http2Answer:
    """One response; `trailers` empty means that the last data frame ends the stream."""

    body: bytes = b""
    headers: Headers = field(default_factory=lambda: [(":status", "200")])
    trailers: Headers = field(default_factory=list)
    reset_code: int | None = None


@dataclass(slots=True)
class Http2Server:
    """Answers each stream when its request is complete, or all of them when `together` wait."""

    answer: Callable[[int], Http2Answer]
    together: int = 1
    goaway_after: int | None = None  # requests on one connection
    requests: list[tuple[dict[bytes, bytes], bytes]] = field(default_factory=list)
    most_waiting: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=False)
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        heads: dict[int, dict[bytes, bytes]] = {}
        bodies: dict[int, bytes] = {}
        waiting: list[int] = []
        answered = 0
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                match event:
                    case h2.events.RequestReceived():
                        heads[event.stream_id] = _mapping(event.headers)
                        bodies[event.stream_id] = b""
                    case h2.events.DataReceived():
                        bodies[event.stream_id] += event.data
                        connection.acknowledge_received_data(
                            event.flow_controlled_length, event.stream_id
                        )
                    case h2.events.StreamEnded():
                        stream = event.stream_id
                        self.requests.append((heads.pop(stream), bodies.pop(stream)))
                        waiting.append(stream)
            self.most_waiting = max(self.most_waiting, len(waiting))
            if len(waiting) >= self.together:
                for stream in waiting:
                    self._send(connection, stream)
                answered += len(waiting)
                waiting.clear()
            if self.goaway_after is not None and answered >= self.goaway_after:
                connection.close_connection()
            writer.write(connection.data_to_send())
            if self.goaway_after is not None and answered >= self.goaway_after:
                return
            await writer.drain()

    def _send(self, connection: h2.connection.H2Connection, stream: int) -> None:
        answer = self.answer(len(self.requests))
        if answer.reset_code is not None:
            connection.reset_stream(stream, answer.reset_code)
            return
        connection.send_headers(stream, answer.headers)
        connection.send_data(stream, answer.body, end_stream=not answer.trailers)
        if answer.trailers:
            connection.send_headers(stream, answer.trailers, end_stream=True)


def _mapping(headers: object) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:  # type: ignore[attr-defined]
        found[_bytes(name)] = _bytes(value)
    return found


def _bytes(text: object) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()


def grpc_messages(*bodies: bytes) -> bytes:
    return b"".join(struct.pack(">BI", 0, len(body)) + body for body in bodies)
