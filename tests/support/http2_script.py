"""HTTP/2 frame by frame, for peers that do what a library would not: servers that are scripted, and a client
that tells what became of each stream.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import hpack

from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.wait import within

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
END_HEADERS = 4
REFUSED_STREAM, CANCEL, HTTP_1_1_REQUIRED = 7, 8, 13
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW = 3, 4

Pairs = Sequence[tuple[str, str]]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    head = struct.pack(">IBBI", len(payload), kind, flags, stream)
    return head[1:] + payload


def settings(**numbers: int) -> bytes:
    """A SETTINGS frame: `streams`, `window`."""
    known = {"streams": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW}
    payload = b"".join(struct.pack(">HI", known[name], value) for name, value in numbers.items())
    return frame(SETTINGS, payload=payload)


def reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, stream=stream, payload=struct.pack(">I", code))


def goaway(last: int, code: int = 0) -> bytes:
    return frame(GOAWAY, payload=struct.pack(">II", last, code))


@dataclass(slots=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes


@dataclass(slots=True, eq=False)
class Link:
    """One connection of a scripted peer, on either side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    decoder: hpack.Decoder = field(default_factory=hpack.Decoder)
    encoder: hpack.Encoder = field(default_factory=hpack.Encoder)
    # Not before our own SETTINGS are sent, which come first.
    acknowledges: bool = True

    def send(self, *frames: bytes) -> None:
        with suppress(ConnectionError):
            self.writer.write(b"".join(frames))

    def answer(self, stream: int, *more: tuple[str, str], body: bytes = b"") -> None:
        """A whole response."""
        block = self.encoder.encode([(":status", "200"), *more])
        self.send(frame(HEADERS, END_HEADERS, stream, block), frame(DATA, END_STREAM, stream, body))

    async def frames(self) -> AsyncIterator[Frame]:
        """What comes, up to the end; settings and body are acknowledged."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self.reader.readexactly(9)
                size = int.from_bytes(head[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                got = Frame(kind, flags, stream, await self.reader.readexactly(size))
                if kind == SETTINGS and not flags & ACK and self.acknowledges:
                    self.send(frame(SETTINGS, ACK))
                if kind == DATA and size and self.acknowledges:
                    more = struct.pack(">I", size)
                    self.send(
                        frame(WINDOW_UPDATE, payload=more),
                        frame(WINDOW_UPDATE, stream=stream, payload=more),
                    )
                yield got

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass(slots=True)
class Scripted:
    """Where a scripted server listens, and how often it was connected to."""

    address: tuple[str, int] = ("", 0)
    connections: int = 0
    links: set[Link] = field(default_factory=set)


Script = Callable[[Link, int], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script, *, preface: bool = True) -> AsyncIterator[Scripted]:
    """Runs `script(link, number of the connection)` for each; the connection closes behind it. With `preface`
    it begins behind the client's.
    """
    made = Scripted()
    running: set[asyncio.Task[None]] = set()

    async def serve(link: Link, number: int) -> None:
        made.links.add(link)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if preface:
                await link.reader.readexactly(len(PREFACE))
            await script(link, number)
        made.links.discard(link)
        await link.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        running.add(spawn(serve(Link(reader, writer), made.connections), name="scripted"))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    made.address = server.sockets[0].getsockname()
    try:
        yield made
    finally:
        server.close()
        await cancel_all(running)
        for link in made.links:
            link.writer.transport.abort()
        await server.wait_closed()


@dataclass(slots=True)
class Outcome:
    """What became of a stream: `reset` is the code of an RST_STREAM, or -1 when the connection
    ended first.
    """

    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None

    @property
    def status(self) -> str:
        return self.fields.get(":status", "")


def request(*more: tuple[str, str], method: str = "POST", path: str = "/x") -> Pairs:
    return [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path), *more]


async def ask(
    address: tuple[str, int], *requests: tuple[Pairs, bytes], deadline_s: float = 20
) -> list[Outcome]:
    """Sends these requests, whole and at once (within the first windows), over one connection; what became of
    each.
    """
    reader, writer = await asyncio.open_connection(*address)
    link = Link(reader, writer)
    link.send(PREFACE, settings())
    outcomes = {1 + 2 * i: Outcome() for i in range(len(requests))}
    for stream, (fields, body) in zip(outcomes, requests, strict=True):
        block = link.encoder.encode(fields)
        link.send(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block))
        for at in range(0, len(body), 16_384):
            last = END_STREAM if at + 16_384 >= len(body) else 0
            link.send(frame(DATA, last, stream, body[at : at + 16_384]))
    left = set(outcomes)
    try:
        async with within(deadline_s):
            while left:
                async for got in link.frames():
                    _note(link, outcomes.get(got.stream, Outcome()), got)
                    if got.kind == RST_STREAM or (
                        got.kind in (DATA, HEADERS) and got.flags & END_STREAM
                    ):
                        left.discard(got.stream)
                    if not left:
                        break
                else:
                    for stream in left:
                        outcomes[stream].reset = -1
                    left.clear()
    finally:
        await link.close()
    return list(outcomes.values())


def _note(link: Link, outcome: Outcome, got: Frame) -> None:
    if got.kind == HEADERS:
        outcome.fields.update({str(n): str(v) for n, v in link.decoder.decode(got.payload)})
    elif got.kind == DATA:
        outcome.body += got.payload
    elif got.kind == RST_STREAM:
        outcome.reset = int.from_bytes(got.payload, "big")
