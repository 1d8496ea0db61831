"""Whatever valid HTTP/1 message goes in at one end of two proxies comes out at the other, cut and framed as
it may be.
"""

import asyncio
from dataclasses import dataclass

import h11
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.adversity.recording_origin import Arrived, recording_origin
from tests.integration.adversity.rig import DEADLINE_S, behind, close
from tests.support.engine import engine
from tests.support.wait import in_time

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
Fields = tuple[tuple[bytes, bytes], ...]

names = st.text(TOKEN, min_size=1, max_size=20).map(lambda text: b"x-" + text.encode())
values = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=60).map(
        lambda raw: bytes(c for c in raw if c == 9 or 32 <= c != 127).strip(b" \t")
    ),
)
fields = st.lists(st.tuples(names, values), max_size=12).map(tuple)
bodies = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 90_000).map(lambda size: bytes(i % 251 for i in range(size))),
)
splits = st.lists(st.integers(1, 20_000), max_size=6)
extensions = st.sampled_from([b"", b";a", b";a=b", b';a="b c"', b";a=b;c=d"])


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes, and how they are framed: with a length, in chunks (with trailers), or up to the end of the
    connection.
    """

    content: bytes
    framing: str
    chunks: tuple[int, ...]
    extension: bytes
    trailers: Fields

    def lines(self) -> bytes:
        if self.framing == "length":
            return b"Content-Length: %d\r\n" % len(self.content)
        return b"Transfer-Encoding: chunked\r\n" if self.framing == "chunked" else b""

    def wire(self) -> bytes:
        if self.framing != "chunked":
            return self.content
        pieces = cut(self.content, self.chunks)
        framed = b"".join(
            b"%X%s\r\n%s\r\n" % (len(piece), self.extension, piece) for piece in pieces
        )
        return framed + b"0\r\n" + lines(self.trailers) + b"\r\n"


def body(framings: list[str]) -> st.SearchStrategy[Body]:
    return st.builds(Body, bodies, st.sampled_from(framings), splits.map(tuple), extensions, fields)


def lines(pairs: Fields) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in pairs)


def cut(wire: bytes, sizes: tuple[int, ...] | list[int]) -> list[bytes]:
    """`wire` in pieces of those sizes and the rest; none is empty."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(wire[at : at + size])
        at += size
    return [piece for piece in [*pieces, wire[at:]] if piece]


def ours(pairs: Fields) -> list[tuple[bytes, bytes]]:
    """The fields that the test chose, as every reader may see them."""
    return [(name.lower(), value) for name, value in pairs if name.lower().startswith(b"x-")]


@given(
    method=st.sampled_from(
        [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"PROPFIND", b"x-Odd"]
    ),
    path=st.text("!$%&'()*+,-./:;=?@_~09azAZ[]{}|\\^`\"<>", max_size=60).map(
        lambda text: b"/" + text.encode()
    ),
    request_fields=fields,
    request_body=body(["length", "chunked"]),
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    reason=st.sampled_from([b"OK", b"", b"A strange reason", b"\xe4"]),
    response_fields=fields,
    response_body=body(["length", "chunked", "close"]),
    segments=splits,
    leg_is_h2=st.booleans(),
)
def test_any_message(
    *,
    method: bytes,
    path: bytes,
    request_fields: Fields,
    request_body: Body,
    status: int,
    reason: bytes,
    response_fields: Fields,
    response_body: Body,
    segments: list[int],
    leg_is_h2: bool,
) -> None:
    head = (
        method
        + b" "
        + path
        + b" HTTP/1.1\r\nHost: svc.test\r\nTE: trailers\r\nConnection: te, close\r\n"
    )
    request = head + lines(request_fields) + request_body.lines() + b"\r\n" + request_body.wire()
    head = b"HTTP/1.1 %d %s\r\n" % (status, reason)
    response = (
        head + lines(response_fields) + response_body.lines() + b"\r\n" + response_body.wire()
    )

    async def exchange() -> tuple[Arrived, bytes]:
        closes = response_body.framing == "close"
        async with (
            engine() as made,
            recording_origin(lambda _arrived: response, close_after_one=closes) as server,
        ):
            address = behind(made, server.address, proxies=2, h2=leg_is_h2)
            reader, writer = await asyncio.open_connection(*address)
            for piece in cut(request, segments):
                writer.write(piece)
                await asyncio.sleep(0)
            answer = await in_time(reader.read(), DEADLINE_S)
            await close(writer)
            assert not server.wrong
            (arrived,) = server.requests
            return arrived, answer

    arrived, answer = asyncio.run(exchange())
    assert (arrived.method, arrived.target, arrived.version) == (method, path, b"1.1")
    assert arrived.all(b"host") == [b"svc.test"]
    assert ours(arrived.fields) == ours(request_fields)
    assert arrived.body == request_body.content
    if request_body.framing == "chunked":
        assert ours(arrived.trailers) == ours(request_body.trailers)

    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.send(
        h11.Request(method="GET", target="/", headers=[("host", "a"), ("connection", "close")])
    )
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    client.receive_data(b"")
    got = client.next_event()
    assert isinstance(got, h11.Response), got
    assert got.status_code == status
    assert ours(tuple(got.headers)) == ours(response_fields)
    content = b""
    while isinstance(event := client.next_event(), h11.Data):
        content += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert content == response_body.content
    if response_body.framing == "chunked":
        assert ours(tuple(event.headers)) == ours(response_body.trailers)
