"""One request as each of the carriers brings it: HTTP/1, HTTP/2, and HTTP/1 within HTTP/2; and what became of
it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

from tests.support.engine import Engine
from tests.support.origin import Origin, origin
from tests.support.wait import within

Fields = Sequence[tuple[bytes, bytes]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
HTTP1, HTTP2, WITHIN = "HTTP/1", "HTTP/2", "HTTP/1 within HTTP/2"
CARRIERS = [HTTP1, HTTP2, WITHIN]
DATA, HEADERS, RESET = 0, 1, 3
END_STREAM, END_HEADERS = 1, 4


@dataclass(frozen=True, slots=True)
class Message:
    """A request, as any of the carriers can bring it."""

    method: bytes = b"GET"
    path: bytes = b"/"
    authority: bytes = b"svc.test"
    fields: Fields = ()
    body: bytes = b""
    trailers: Fields = ()

    def as_http1(self) -> bytes:
        lines = [self.method + b" " + self.path + b" HTTP/1.1", b"Host: " + self.authority]
        lines += [name + b": " + value for name, value in self.fields]
        if not self.body and not self.trailers:
            return b"\r\n".join([*lines, b"", b""])
        chunk = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.body else b""
        end = [b"0", *(name + b": " + value for name, value in self.trailers), b"", b""]
        return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunk]) + b"\r\n".join(end)

    def as_http2(self, *, within: bool) -> bytes:
        encoder = Encoder()
        head = [
            (b":method", self.method),
            (b":scheme", b"http"),
            (b":path", self.path),
            (b":authority", self.authority),
            *([(b"l5d-orig-proto", b"HTTP/1.1")] if within else []),
            *self.fields,
        ]
        alone = not self.body and not self.trailers
        wire = PREFACE + _frame(HEADERS, END_HEADERS | alone, encoder.encode(head))
        if self.body:
            wire += _frame(DATA, 0 if self.trailers else END_STREAM, self.body)
        if self.trailers:
            wire += _frame(HEADERS, END_HEADERS | END_STREAM, encoder.encode(list(self.trailers)))
        return wire

    def over(self, carrier: str) -> bytes:
        return self.as_http1() if carrier == HTTP1 else self.as_http2(within=carrier == WITHIN)


def _frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + b"\0\0\0\1" + payload


@dataclass(slots=True)
class Verdict:
    """What the client was told: a status, or None for a reset; and what the workload saw of it."""

    status: int | None = None
    heads: list[bytes] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return bool(self.heads)


async def status_over_http2(address: tuple[str, int], wire: bytes, *, step: int) -> int | None:
    """The status of stream 1, None when it was reset."""
    reader, writer = await asyncio.open_connection(*address)
    decoder = Decoder()
    try:
        async with within(20):
            await send(writer, wire, step=step)
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == RESET:
                    return None
                if head[3] == HEADERS:
                    return int(dict(decoder.decode(payload, raw=True))[b":status"])
    finally:
        writer.transport.abort()


async def send(writer: asyncio.StreamWriter, wire: bytes, *, step: int) -> None:
    with contextlib.suppress(ConnectionError):
        for at in range(0, len(wire), step or len(wire)):
            writer.write(wire[at : at + (step or len(wire))])
            if step:
                await asyncio.sleep(0)
        await writer.drain()


async def status_over_http1(address: tuple[str, int], wire: bytes, *, step: int) -> int | None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with within(20):
            await send(writer, wire, step=step)
            line = await reader.readline()
        return int(line[9:12]) if line.startswith(b"HTTP/1.1 ") else None
    except ConnectionError:
        return None
    finally:
        writer.transport.abort()


async def ask(
    address: tuple[str, int], message: Message, *, carrier: str, step: int = 0
) -> int | None:
    how = status_over_http1 if carrier == HTTP1 else status_over_http2
    return await how(address, message.over(carrier), step=step)


async def inbound_of(
    made: Engine, server: Origin, *, carrier: str, **options: object
) -> tuple[str, int]:
    """A port of the workload, whose proxy has learned already that it speaks HTTP/1 only."""
    address = made.inbound(server.address, **options)  # type: ignore[arg-type]
    if carrier == HTTP2:
        async with within(20):
            while await ask(address, Message(), carrier=carrier) != 200:
                pass
        server.heads.clear()
    return address


async def judged(
    made: Engine, message: Message, *, carrier: str, step: int = 0, **options: object
) -> Verdict:
    async with origin(lambda _head, _body: OK) as server:
        address = await inbound_of(made, server, carrier=carrier, **options)
        status = await ask(address, message, carrier=carrier, step=step)
        return Verdict(status, server.heads)
