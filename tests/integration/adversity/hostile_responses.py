"""Responses that break their own framing, by name: what the server sends, how it ends, and what a client may
see of it.
"""

import enum
from dataclasses import dataclass


class Seen(enum.Enum):
    """REFUSED: a 502 of the proxy. CUT: a message that visibly has no end. WHOLE: the response, clean."""

    REFUSED = "refused"
    CUT = "cut"
    WHOLE = "whole"


class Ends(enum.Enum):
    STAYS = "stays"
    CLOSES = "closes"
    RESETS = "resets"


@dataclass(frozen=True, slots=True)
class Hostile:
    wire: bytes
    seen: Seen = Seen.REFUSED
    ends: Ends = Ends.STAYS
    body: bytes = b""
    method: bytes = b"GET"


def ok(
    *lines: bytes, body: bytes = b"", status: bytes = b"200 OK", version: bytes = b"HTTP/1.1"
) -> bytes:
    return (
        version
        + b" "
        + status
        + b"\r\n"
        + b"".join(line + b"\r\n" for line in lines)
        + b"\r\n"
        + body
    )


def chunked(body: bytes) -> bytes:
    return ok(b"Transfer-Encoding: chunked", body=body)


STALE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
EMPTY = b"0\r\n\r\n"
LENGTH_5 = b"Content-Length: 5"
CUT, WHOLE = Seen.CUT, Seen.WHOLE
CLOSES, RESETS = Ends.CLOSES, Ends.RESETS

CORPUS = {
    # Two lengths.
    "cl-te": Hostile(ok(LENGTH_5, b"Transfer-Encoding: chunked", body=EMPTY)),
    "te-cl": Hostile(ok(b"Transfer-Encoding: chunked", LENGTH_5, body=EMPTY)),
    "te-twice": Hostile(
        ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=EMPTY)
    ),
    "te-identity": Hostile(ok(b"Transfer-Encoding: identity", body=b"abcde"), ends=CLOSES),
    "te-gzip": Hostile(ok(b"Transfer-Encoding: gzip", body=b"abcde"), ends=CLOSES),
    "te-gzip-chunked": Hostile(ok(b"Transfer-Encoding: gzip, chunked", body=EMPTY)),
    "te-space-before-colon": Hostile(ok(b"Transfer-Encoding : chunked", body=EMPTY)),
    "te-vertical-tab": Hostile(ok(b"Transfer-Encoding: \x0bchunked", body=EMPTY)),
    "te-in-1.0": Hostile(ok(b"Transfer-Encoding: chunked", body=EMPTY, version=b"HTTP/1.0")),
    "cl-twice-different": Hostile(ok(LENGTH_5, b"Content-Length: 6", body=b"abcdef")),
    "cl-twice-equal": Hostile(ok(LENGTH_5, LENGTH_5, body=b"abcde")),
    "cl-list": Hostile(ok(b"Content-Length: 5, 5", body=b"abcde")),
    "cl-plus": Hostile(ok(b"Content-Length: +5", body=b"abcde")),
    "cl-minus": Hostile(ok(b"Content-Length: -5", body=b"abcde")),
    "cl-empty": Hostile(ok(b"Content-Length:", body=b"abcde")),
    "cl-overflow": Hostile(ok(b"Content-Length: 18446744073709551621", body=b"abcde")),
    # Heads that are none.
    "line-garbage": Hostile(b"\x00\x01\x02\x03garbage\r\n\r\n"),
    "line-http2": Hostile(b"HTTP/2 200 OK\r\n\r\n"),
    "line-1.2": Hostile(ok(version=b"HTTP/1.2")),
    "line-icy": Hostile(b"ICY 200 OK\r\n\r\n"),
    "line-no-status": Hostile(b"HTTP/1.1 OK\r\n\r\n"),
    "line-status-2": Hostile(ok(status=b"20 OK")),
    "line-status-4": Hostile(ok(status=b"2000 OK")),
    "line-status-0": Hostile(ok(status=b"000 OK")),
    "line-status-sign": Hostile(ok(status=b"+20 OK")),
    "line-nul": Hostile(ok(status=b"200 O\x00K")),
    "line-bare-lf": Hostile(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    "line-bare-cr": Hostile(b"HTTP/1.1 200 OK\rX: y\r\n\r\n"),
    "line-leading-crlf": Hostile(b"\r\n" + ok(b"Content-Length: 0")),
    "field-fold": Hostile(ok(b"X: y\r\n z", b"Content-Length: 0")),
    "field-nul": Hostile(ok(b"X: \x00", b"Content-Length: 0")),
    "field-bare-lf": Hostile(ok(b"X: y\nContent-Length: 5", body=b"abcde")),
    "field-bare-cr": Hostile(ok(b"X: y\rZ: 1", b"Content-Length: 0")),
    "field-space-before-colon": Hostile(ok(b"X : y", b"Content-Length: 0")),
    "field-empty-name": Hostile(ok(b": y", b"Content-Length: 0")),
    "field-no-colon": Hostile(ok(b"xy", b"Content-Length: 0")),
    "bomb-value": Hostile(ok(b"X: " + b"a" * 100_000)),
    "bomb-count": Hostile(ok(*[b"X: a"] * 5000)),
    "bomb-without-end": Hostile(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 50_000),
    "nothing": Hostile(b"", ends=CLOSES),
    "nothing-reset": Hostile(b"", ends=RESETS),
    "half-a-head": Hostile(b"HTTP/1.1 200 OK\r\nContent-Le", ends=CLOSES),
    "half-a-head-reset": Hostile(b"HTTP/1.1 200 OK\r\nContent-Le", ends=RESETS),
    # Bodies cut short.
    "length-truncated": Hostile(ok(LENGTH_5, body=b"abc"), CUT, CLOSES),
    "length-truncated-reset": Hostile(ok(LENGTH_5, body=b"abc"), CUT, RESETS),
    "length-no-body": Hostile(ok(LENGTH_5), CUT, CLOSES),
    "chunks-truncated": Hostile(chunked(b"5\r\nabcde\r\n"), CUT, CLOSES),
    "chunks-truncated-in-size": Hostile(chunked(b"5\r\nabcde\r\n1"), CUT, CLOSES),
    "chunks-truncated-in-chunk": Hostile(chunked(b"5\r\nab"), CUT, CLOSES),
    "chunks-truncated-in-end": Hostile(chunked(b"5\r\nabcde\r\n0\r\n"), CUT, CLOSES),
    "chunks-truncated-in-trailer": Hostile(chunked(b"5\r\nabcde\r\n0\r\nX: y\r\n"), CUT, CLOSES),
    "chunks-none": Hostile(chunked(b""), CUT, CLOSES),
    "close-delimited-reset": Hostile(ok(body=b"abcde"), CUT, RESETS),
    # Bodies that break.
    "chunk-size-bad": Hostile(chunked(b"5\r\nabcde\r\nzz\r\n"), CUT),
    "chunk-size-overflow": Hostile(
        chunked(b"5\r\nabcde\r\n10000000000000005\r\nabcde\r\n" + EMPTY), CUT
    ),
    "chunk-size-bare-lf": Hostile(chunked(b"5\nabcde\r\n" + EMPTY), CUT),
    "chunk-data-no-crlf": Hostile(chunked(b"5\r\nabcdeXX" + EMPTY), CUT),
    "chunk-extension-nul": Hostile(chunked(b"5;\x00\r\nabcde\r\n" + EMPTY), CUT),
    "chunk-extension-bomb": Hostile(
        chunked((b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200 + EMPTY), CUT
    ),
    "trailer-bare-lf": Hostile(chunked(b"5\r\nabcde\r\n0\r\nX: y\nZ: 1\r\n\r\n"), CUT),
    "trailer-bomb": Hostile(
        chunked(b"5\r\nabcde\r\n0\r\n" + b"X: " + b"a" * 50_000 + b"\r\n\r\n"), CUT
    ),
    "trailer-of-status": Hostile(chunked(b"5\r\nabcde\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n"), CUT),
    # More than was asked for.
    "stale-response": Hostile(ok(LENGTH_5, body=b"abcde") + STALE, WHOLE, body=b"abcde"),
    "stale-after-chunks": Hostile(chunked(b"5\r\nabcde\r\n" + EMPTY) + STALE, WHOLE, body=b"abcde"),
    "stale-after-length-0": Hostile(ok(b"Content-Length: 0") + STALE, WHOLE),
    "stale-crlf": Hostile(ok(LENGTH_5, body=b"abcde\r\n"), WHOLE, body=b"abcde"),
    "body-longer": Hostile(ok(LENGTH_5, body=b"abcdefghij"), WHOLE, body=b"abcde"),
    "204-body": Hostile(ok(status=b"204 No Content", body=STALE), WHOLE),
    "204-length": Hostile(ok(LENGTH_5, status=b"204 No Content", body=b"abcde"), WHOLE),
    "204-chunks": Hostile(
        ok(b"Transfer-Encoding: chunked", status=b"204 No Content", body=b"5\r\nabcde\r\n" + EMPTY),
        WHOLE,
    ),
    "304-body": Hostile(ok(LENGTH_5, status=b"304 Not Modified", body=b"abcde"), WHOLE),
    "304-chunks": Hostile(
        ok(b"Transfer-Encoding: chunked", status=b"304 Not Modified", body=EMPTY), WHOLE
    ),
    "head-body": Hostile(ok(LENGTH_5, body=b"abcde"), WHOLE, method=b"HEAD"),
    "head-stale": Hostile(ok(LENGTH_5, body=STALE), WHOLE, method=b"HEAD"),
    "head-chunks": Hostile(chunked(b"5\r\nabcde\r\n" + EMPTY), WHOLE, method=b"HEAD"),
    # Interim responses.
    "1xx-flood": Hostile(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000 + STALE),
    "1xx-then-close": Hostile(b"HTTP/1.1 103 Early Hints\r\n\r\n", ends=CLOSES),
    "1xx-with-length": Hostile(
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 35\r\n\r\n" + STALE, WHOLE, body=b"stale"
    ),
    "1xx-with-chunks": Hostile(
        b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n" + STALE, WHOLE, body=b"stale"
    ),
    "1xx-malformed": Hostile(b"HTTP/1.1 103 Early Hints\r\nX : y\r\n\r\n" + STALE),
    "100-unasked": Hostile(b"HTTP/1.1 100 Continue\r\n\r\n" + STALE, WHOLE, body=b"stale"),
    "101-unasked": Hostile(
        ok(b"Connection: Upgrade", b"Upgrade: chat", status=b"101 Switching Protocols", body=STALE)
    ),
    # Names of ours.
    "l5d-headers": Hostile(
        ok(b"l5d-proxy-connection: close", b"l5d-proxy-error: no", LENGTH_5, body=b"abcde"),
        WHOLE,
        body=b"abcde",
    ),
    "l5d-orig-proto": Hostile(
        ok(b"l5d-orig-proto: HTTP/1.0", LENGTH_5, body=b"abcde"), WHOLE, body=b"abcde"
    ),
    "connection-length": Hostile(
        ok(b"Connection: Content-Length", LENGTH_5, body=b"abcde"), WHOLE, body=b"abcde"
    ),
    "close-delimited": Hostile(ok(body=b"abcde"), WHOLE, CLOSES, body=b"abcde"),
}
