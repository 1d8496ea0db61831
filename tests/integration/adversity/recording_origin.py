"""A server that keeps exactly what arrives, and reads it with h11: a second opinion about every byte."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import h11


@dataclass(frozen=True, slots=True)
class Arrived:
    """One complete request as h11 reads it; field names in lower case."""

    method: bytes
    target: bytes
    version: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    trailers: tuple[tuple[bytes, bytes], ...]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class Line:
    """One connection: its bytes, the requests in them, and what is wrong with them."""

    wire: bytearray = field(default_factory=bytearray)
    requests: list[Arrived] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Recording:
    address: tuple[str, int] = ("", 0)
    lines: list[Line] = field(default_factory=list)

    @property
    def requests(self) -> list[Arrived]:
        return [request for line in self.lines for request in line.requests]

    @property
    def wrong(self) -> list[str]:
        return [text for line in self.lines for text in line.wrong]


def answer_to(request: Arrived) -> bytes:
    """200 whose body says what was asked, so that an answer given to the wrong client shows."""
    body = request.method + b" " + request.target
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head if request.method == b"HEAD" else head + body


Answer = Callable[[Arrived], bytes]

# h11 takes targets in ASCII alone: it is shown the others as a URL says them, which changes no boundary of a
# message.
_ABOVE_ASCII: Final = re.compile(
    rb"(?<=[/?])[\x21-\xff]*[\x80-\xff][\x21-\xff]*(?= HTTP/1\.[01]\r\n)"
)


def _as_percent(target: re.Match[bytes]) -> bytes:
    return b"".join(b"%%%02X" % byte if byte > 0x7F else bytes([byte]) for byte in target[0])


async def _serve(
    line: Line,
    answer: Answer,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    close_after_one: bool,
) -> None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    head: h11.Request | None = None
    body = b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            piece = await reader.read(65536)
            line.wire += piece
            parser.receive_data(_ABOVE_ASCII.sub(_as_percent, piece))
            if not piece:
                return
        elif isinstance(event, h11.Request):
            head, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            fields = tuple((bytes(k), bytes(v)) for k, v in head.headers)
            request = Arrived(
                head.method, head.target, head.http_version, fields, body, tuple(event.headers)
            )
            line.requests.append(request)
            writer.write(answer(request))
            await writer.drain()
            parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            parser.send(h11.EndOfMessage())
            if close_after_one or parser.our_state is not h11.DONE:
                return
            parser.start_next_cycle()
        elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            return


@contextlib.asynccontextmanager
async def recording_origin(
    answer: Answer = answer_to, *, close_after_one: bool = False
) -> AsyncIterator[Recording]:
    """Answers whole requests on keep-alive connections, or closes each after its first response."""
    seen = Recording()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line()
        seen.lines.append(line)
        writers.add(writer)
        try:
            await _serve(line, answer, reader, writer, close_after_one=close_after_one)
        except h11.RemoteProtocolError as error:
            # A message cut off by the end of the connection was never complete: that is how refusal looks
            # from here.
            if "without sending complete message body" not in str(error):
                line.wrong.append(f"{error}: {bytes(line.wire)[-200:]!r}")
        except ConnectionError:
            pass
        line.ended.set()
        writers.discard(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()
