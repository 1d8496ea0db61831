"""HTTP/2 that becomes HTTP/1 at the server's proxy: nothing in a frame may turn into a line of another
request.
"""

import asyncio
import contextlib

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from tests.integration.adversity.recording_origin import recording_origin
from tests.integration.adversity.rig import close, converse
from tests.support.engine import engine
from tests.support.wait import within

Pair = tuple[bytes, bytes]
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
ORIG = (b"l5d-orig-proto", b"HTTP/1.1")
ORIG_10 = (b"l5d-orig-proto", b"HTTP/1.0")


def request(
    *more: Pair,
    method: bytes = b"POST",
    path: bytes = b"/x",
    authority: bytes = b"a",
    scheme: bytes = b"http",
) -> list[Pair]:
    return [
        (b":method", method),
        (b":scheme", scheme),
        (b":authority", authority),
        (b":path", path),
        *more,
    ]


# Name: fields, body, and how many requests arrive.
CORPUS: dict[str, tuple[list[Pair], bytes, int]] = {
    "plain": (request(ORIG), b"abc", 1),
    "transfer-encoding": (request(ORIG, (b"transfer-encoding", b"chunked")), b"0\r\n\r\n" + SMUGGLED, 0),
    "connection": (request(ORIG, (b"connection", b"content-length")), b"", 0),
    "keep-alive": (request(ORIG, (b"keep-alive", b"1")), b"", 0),
    "upgrade": (request(ORIG, (b"upgrade", b"websocket")), b"", 0),
    "te-gzip": (request(ORIG, (b"te", b"gzip")), b"", 0),
    "value-crlf": (request(ORIG, (b"x", b"y\r\nTransfer-Encoding: chunked")), b"", 0),
    "value-lf": (request(ORIG, (b"x", b"y\nTransfer-Encoding: chunked")), b"", 0),
    "value-cr": (request(ORIG, (b"x", b"y\rz")), b"", 0),
    "value-nul": (request(ORIG, (b"x", b"y\x00z")), b"", 0),
    "name-crlf": (request(ORIG, (b"x\r\ny", b"z")), b"", 0),
    "name-colon": (request(ORIG, (b"transfer-encoding:chunked\r\nx", b"y")), b"", 0),
    "name-space": (request(ORIG, (b"content-length ", b"0")), b"", 0),
    "name-empty": (request(ORIG, (b"", b"y")), b"", 0),
    "name-upper": (request(ORIG, (b"X-Upper", b"y")), b"", 0),
    "path-crlf": (request(ORIG, path=b"/x HTTP/1.1\r\nHost: b\r\n\r\n"), b"", 0),
    "path-space": (request(ORIG, path=b"/x HTTP/1.1"), b"", 0),
    "path-empty": (request(ORIG, path=b""), b"", 0),
    "path-relative": (request(ORIG, path=b"x"), b"", 0),
    "path-absolute": (request(ORIG, path=b"http://b/x"), b"", 0),
    "path-fragment": (request(ORIG, path=b"/x#y"), b"", 0),
    "path-star": (request(ORIG, path=b"*"), b"", 0),
    "method-crlf": (request(ORIG, method=b"GET / HTTP/1.1\r\nHost: b\r\n\r\nGET"), b"", 0),
    "method-space": (request(ORIG, method=b"GET /y"), b"", 0),
    "method-empty": (request(ORIG, method=b""), b"", 0),
    "authority-crlf": (request(ORIG, authority=b"a\r\nX: y"), b"", 0),
    "authority-space": (request(ORIG, authority=b"a b"), b"", 0),
    "authority-slash": (request(ORIG, (b"l5d-orig-proto", b"HTTP/1.1; absolute-form"), authority=b"a/b"), b"", 0),
    "authority-user": (request(ORIG, authority=b"u@a"), b"", 0),
    "authority-empty": (request(ORIG, authority=b""), b"", 0),
    "scheme-crlf": (request(ORIG, scheme=b"http\r\nX: y"), b"", 0),
    "host-other": (request(ORIG, (b"host", b"b")), b"", 0),
    "host-same": (request(ORIG, (b"host", b"a")), b"", 1),
    "host-twice": (request(ORIG, (b"host", b"a"), (b"host", b"b")), b"", 0),
    "length-short": (request(ORIG, (b"content-length", b"2")), b"abcde", 0),
    "length-long": (request(ORIG, (b"content-length", b"50")), b"abcde", 0),
    "length-zero": (request(ORIG, (b"content-length", b"0")), SMUGGLED, 0),
    "length-twice": (request(ORIG, (b"content-length", b"5"), (b"content-length", b"6")), b"abcde", 0),
    "length-plus": (request(ORIG, (b"content-length", b"+5")), b"abcde", 0),
    "length-empty": (request(ORIG, (b"content-length", b"")), b"abcde", 0),
    "length-right": (request(ORIG, (b"content-length", b"5")), b"abcde", 1),
    "1.0-without-length": (request(ORIG_10), SMUGGLED, 1),
    "1.0-with-length": (request(ORIG_10, (b"content-length", b"5")), b"abcde", 1),
    "mark-crlf": (request((b"l5d-orig-proto", b"HTTP/1.1\r\nX: y")), b"abc", 0),
    "mark-twice": (request(ORIG, ORIG_10), b"abc", 1),
    "absolute-star": (
        request((b"l5d-orig-proto", b"HTTP/1.1; absolute-form"), method=b"OPTIONS", path=b"*"), b"", 1,
    ),
    "pseudo-late": ([(b"x", b"y"), *request(ORIG)], b"", 0),
    "pseudo-twice": (request(ORIG, (b":path", b"/y")), b"", 0),
    "pseudo-unknown": (request(ORIG, (b":proto", b"y")), b"", 0),
    "pseudo-missing": (request(ORIG)[:2], b"", 0),
    "connect": ([(b":method", b"CONNECT"), (b":authority", b"a:80")], SMUGGLED, 0),
    "l5d-kept-from-server": (request(ORIG, (b"x-one", b"1")), b"", 1),
}  # fmt: skip


async def send(address: tuple[str, int], fields: list[Pair], body: bytes) -> list[h2.events.Event]:
    """One request as it is, unchecked; everything that came back up to the end of its stream or
    connection.
    """
    config = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    client.send_headers(1, fields, end_stream=not body)
    if body:
        client.send_data(1, body, end_stream=True)
    reader, writer = await asyncio.open_connection(*address)
    seen: list[h2.events.Event] = []
    ends = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)
    writer.write(client.data_to_send())
    with contextlib.suppress(ConnectionError, h2.exceptions.ProtocolError):
        async with within(10):
            while not any(isinstance(event, ends) for event in seen):
                piece = await reader.read(65536)
                if not piece:
                    break
                seen += client.receive_data(piece)
                writer.write(client.data_to_send())
    await close(writer)
    return seen


@pytest.mark.parametrize("name", CORPUS)
async def test_a_frame_never_becomes_a_line(name: str) -> None:
    fields, body, arrives = CORPUS[name]
    async with engine() as made, recording_origin() as server:
        address = made.inbound(server.address)
        seen = await send(address, fields, body)
        assert not server.wrong
        assert len(server.requests) == arrives, (server.requests, seen)
        answered = [
            dict(event.headers)[b":status"]
            for event in seen
            if isinstance(event, h2.events.ResponseReceived)
        ]
        assert (answered == [b"200"]) is bool(arrives), answered
        for arrived in server.requests:
            assert arrived.body == body
            assert arrived.all(b"host") == [b"a"]
            assert not arrived.all(b"l5d-orig-proto")
            assert arrived.target in {b"/x", b"http://a"}
            assert not (arrived.version == b"1.0" and arrived.all(b"transfer-encoding"))
        probe, _ = await converse(
            address, b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert probe.endswith(b"\r\n\r\nGET /probe")
