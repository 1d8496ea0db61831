"""Requests that two readers could read in two ways, by name: what is sent, and how many of its requests may
arrive.

Each is sent whole, then the client ends its direction. `arrives` is the number of complete requests that the
server may see; 0 means that the proxy refuses.
"""

from dataclasses import dataclass

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Hostile:
    wire: bytes
    arrives: int = 0


def get(
    *lines: bytes, target: bytes = b"/x", version: bytes = b"HTTP/1.1", host: bytes = b"Host: a\r\n"
) -> bytes:
    return (
        b"GET "
        + target
        + b" "
        + version
        + b"\r\n"
        + host
        + b"".join(line + b"\r\n" for line in lines)
        + b"\r\n"
    )


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    head = b"POST /x " + version + b"\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines)
    return head + b"\r\n" + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


HALVES = b"0\r\n\r\n" + SMUGGLED
EMPTY = b"0\r\n\r\n"

FRAMING = {
    "cl.te": Hostile(post(b"Content-Length: 40", b"Transfer-Encoding: chunked", body=HALVES)),
    "te.cl": Hostile(
        post(
            b"Transfer-Encoding: chunked",
            b"Content-Length: 4",
            body=b"23\r\n" + SMUGGLED + b"\r\n" + EMPTY,
        )
    ),
    "te.cl-zero": Hostile(post(b"Transfer-Encoding: chunked", b"Content-Length: 0", body=EMPTY)),
    "te.te-twice": Hostile(
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=HALVES)
    ),
    "te.te-identity": Hostile(
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=HALVES)
    ),
    "te-identity": Hostile(
        post(b"Transfer-Encoding: identity", b"Content-Length: 35", body=SMUGGLED)
    ),
    "te-identity-alone": Hostile(post(b"Transfer-Encoding: identity", body=SMUGGLED)),
    "te-unknown": Hostile(post(b"Transfer-Encoding: xchunked", body=HALVES)),
    "te-cow": Hostile(post(b"Transfer-Encoding: cow", b"Content-Length: 5", body=HALVES)),
    "te-gzip-chunked": Hostile(post(b"Transfer-Encoding: gzip, chunked", body=HALVES)),
    "te-chunked-gzip": Hostile(post(b"Transfer-Encoding: chunked, gzip", body=HALVES)),
    "te-chunked-chunked": Hostile(post(b"Transfer-Encoding: chunked, chunked", body=HALVES)),
    "te-trailing-comma": Hostile(post(b"Transfer-Encoding: chunked,", body=HALVES)),
    "te-leading-comma": Hostile(post(b"Transfer-Encoding: ,chunked", body=HALVES)),
    "te-empty": Hostile(post(b"Transfer-Encoding:", b"Content-Length: 5", body=EMPTY)),
    "te-quoted": Hostile(post(b'Transfer-Encoding: "chunked"', body=HALVES)),
    "te-parameter": Hostile(post(b"Transfer-Encoding: chunked;q=1", body=HALVES)),
    "te-vertical-tab": Hostile(post(b"Transfer-Encoding: \x0bchunked", body=HALVES)),
    "te-nul": Hostile(post(b"Transfer-Encoding: chunked\x00", body=HALVES)),
    "te-high-bit": Hostile(post(b"Transfer-Encoding: chunked\xff", body=HALVES)),
    "te-nbsp": Hostile(post(b"Transfer-Encoding: \xa0chunked", body=HALVES)),
    "te-space-before-colon": Hostile(
        post(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-tab-before-colon": Hostile(
        post(b"Transfer-Encoding\t: chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-leading-space": Hostile(
        post(b" Transfer-Encoding: chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-folded": Hostile(
        post(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-folded-name": Hostile(
        post(b"X: y\r\n Transfer-Encoding: chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-underscore": Hostile(
        post(b"Transfer_Encoding: chunked", b"Content-Length: 5", body=EMPTY), arrives=1
    ),
    "te-bare-cr": Hostile(
        post(b"X: y\rTransfer-Encoding: chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-bare-lf": Hostile(
        post(b"X: y\nTransfer-Encoding: chunked", b"Content-Length: 5", body=HALVES)
    ),
    "te-in-1.0": Hostile(post(b"Transfer-Encoding: chunked", body=HALVES, version=b"HTTP/1.0")),
    "te-cl-in-1.0": Hostile(
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=HALVES, version=b"HTTP/1.0")
    ),
    "te-upper-case": Hostile(post(b"TRANSFER-ENCODING: CHUNKED", body=HALVES), arrives=2),
    "cl-twice-different": Hostile(post(b"Content-Length: 5", b"Content-Length: 6", body=b"abcdef")),
    "cl-twice-equal": Hostile(post(b"Content-Length: 5", b"Content-Length: 5", body=b"abcde")),
    "cl-list-equal": Hostile(post(b"Content-Length: 5, 5", body=b"abcde")),
    "cl-list-different": Hostile(post(b"Content-Length: 5, 0", body=b"abcde")),
    "cl-plus": Hostile(post(b"Content-Length: +5", body=b"abcde")),
    "cl-minus": Hostile(post(b"Content-Length: -1", body=b"abcde")),
    "cl-hex": Hostile(post(b"Content-Length: 0x5", body=b"abcde")),
    "cl-underscore": Hostile(post(b"Content-Length: 1_0", body=b"abcdefghij")),
    "cl-decimal": Hostile(post(b"Content-Length: 5.0", body=b"abcde")),
    "cl-exponent": Hostile(post(b"Content-Length: 5e0", body=b"abcde")),
    "cl-empty": Hostile(post(b"Content-Length:", body=b"abcde")),
    "cl-spaces": Hostile(post(b"Content-Length: 5 5", body=b"abcde")),
    "cl-trailing-letter": Hostile(post(b"Content-Length: 5a", body=b"abcde")),
    "cl-overflow-64": Hostile(post(b"Content-Length: 18446744073709551621", body=b"abcde")),
    "cl-overflow-63": Hostile(post(b"Content-Length: 9223372036854775813", body=b"abcde")),
    "cl-overflow-32": Hostile(post(b"Content-Length: 4294967301", body=b"abcde")),
    "cl-quoted": Hostile(post(b'Content-Length: "5"', body=b"abcde")),
    "cl-nul": Hostile(post(b"Content-Length: 5\x00", body=b"abcde")),
    "cl-space-before-colon": Hostile(post(b"Content-Length : 5", body=b"abcde")),
    "cl-folded": Hostile(post(b"Content-Length:\r\n 5", body=b"abcde")),
    "cl-vertical-tab": Hostile(post(b"Content-Length: \x0b5", body=b"abcde")),
    "cl-arabic-digit": Hostile(post("Content-Length: \u0665".encode(), body=b"abcde")),
    "cl-truncated": Hostile(post(b"Content-Length: 10", body=b"abcde")),
    "0.cl-get-with-body": Hostile(get(b"Content-Length: 35") + SMUGGLED, arrives=1),
    "0.cl-obs-fold": Hostile(get(b"X: y\r\n Content-Length: 35") + SMUGGLED),
    "0.cl-expect": Hostile(
        get(b"Expect: 100-continue", b"Content-Length: 35") + SMUGGLED, arrives=1
    ),
    "0.cl-expect-obs-fold": Hostile(
        b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 35\r\n\r\n"
        + SMUGGLED
    ),
    "expect-unknown": Hostile(
        post(b"Expect: 100-continue-please", b"Content-Length: 5", body=b"abcde"), arrives=1
    ),
    "head-with-body": Hostile(
        b"HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n" + SMUGGLED, arrives=1
    ),
}

CHUNKS = {
    "chunk-size-overflow-64": Hostile(chunked(b"10000000000000005\r\nabcde\r\n" + EMPTY)),
    "chunk-size-overflow-63": Hostile(chunked(b"ffffffffffffffff\r\nabcde\r\n" + EMPTY)),
    "chunk-size-plus": Hostile(chunked(b"+5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-minus": Hostile(chunked(b"-5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-0x": Hostile(chunked(b"0x5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-underscore": Hostile(chunked(b"0_5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-empty": Hostile(chunked(b"\r\nabcde\r\n" + EMPTY)),
    "chunk-size-leading-space": Hostile(chunked(b" 5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-trailing-space": Hostile(chunked(b"5 \r\nabcde\r\n" + EMPTY)),
    "chunk-size-tab": Hostile(chunked(b"5\t\r\nabcde\r\n" + EMPTY)),
    "chunk-size-nul": Hostile(chunked(b"5\x00\r\nabcde\r\n" + EMPTY)),
    "chunk-size-bare-lf": Hostile(chunked(b"5\nabcde\r\n" + EMPTY)),
    "chunk-size-bare-cr": Hostile(chunked(b"5\rabcde\r\n" + EMPTY)),
    "chunk-size-cr-cr-lf": Hostile(chunked(b"5\r\r\nabcde\r\n" + EMPTY)),
    "chunk-size-many-zeros": Hostile(chunked(b"0" * 400 + b"5\r\nabcde\r\n" + EMPTY)),
    "chunk-size-not-hex": Hostile(chunked(b"5g\r\nabcde\r\n" + EMPTY)),
    "chunk-size-upper": Hostile(chunked(b"A\r\nabcdefghij\r\n" + EMPTY), arrives=1),
    "chunk-data-no-crlf": Hostile(chunked(b"5\r\nabcde0\r\n\r\n")),
    "chunk-data-xx": Hostile(chunked(b"5\r\nabcdeXX0\r\n\r\n")),
    "chunk-data-bare-lf": Hostile(chunked(b"5\r\nabcde\n" + EMPTY)),
    "chunk-data-bare-cr": Hostile(chunked(b"5\r\nabcde\r" + EMPTY)),
    "chunk-data-long": Hostile(chunked(b"5\r\nabcdef\r\n" + EMPTY)),
    "chunk-data-short": Hostile(chunked(b"5\r\nabcd\r\n" + EMPTY)),
    "chunk-ext": Hostile(chunked(b"5;a=b\r\nabcde\r\n" + EMPTY), arrives=1),
    "chunk-ext-quoted-crlf": Hostile(chunked(b'5;a="\r\nabcde\r\n' + EMPTY), arrives=1),
    "chunk-ext-bare-lf": Hostile(chunked(b"5;a\nabcde\r\n" + EMPTY)),
    "chunk-ext-lf-smuggle": Hostile(chunked(b"2;\nxx\r\n4c\r\n" + EMPTY + SMUGGLED)),
    "chunk-ext-bare-cr": Hostile(chunked(b"5;a\rb\r\nabcde\r\n" + EMPTY)),
    "chunk-ext-nul": Hostile(chunked(b"5;a\x00\r\nabcde\r\n" + EMPTY)),
    "chunk-ext-empty": Hostile(chunked(b"5;\r\nabcde\r\n" + EMPTY)),
    "chunk-ext-space": Hostile(chunked(b"5 ;a=b\r\nabcde\r\n" + EMPTY)),
    "chunk-ext-long": Hostile(chunked(b"5;" + b"a" * 5000 + b"\r\nabcde\r\n" + EMPTY)),
    "chunk-ext-sum": Hostile(chunked((b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200 + EMPTY)),
    "last-chunk-no-crlf": Hostile(chunked(b"5\r\nabcde\r\n0\r\n")),
    "last-chunk-bare-lf": Hostile(chunked(b"5\r\nabcde\r\n0\r\n\n")),
    "last-chunk-00": Hostile(chunked(b"5\r\nabcde\r\n00\r\n\r\n"), arrives=1),
    "last-chunk-missing": Hostile(chunked(b"5\r\nabcde\r\n")),
    "last-chunk-garbage": Hostile(chunked(b"5\r\nabcde\r\n0\r\nX")),
    "trailer": Hostile(chunked(b"5\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n"), arrives=1),
    "trailer-framing": Hostile(
        chunked(b"5\r\nabcde\r\n0\r\nContent-Length: 35\r\n\r\n"), arrives=1
    ),
    "trailer-te": Hostile(
        chunked(b"5\r\nabcde\r\n0\r\nTransfer-Encoding: chunked\r\nHost: b\r\n\r\n"), arrives=1
    ),
    "trailer-l5d": Hostile(
        chunked(b"5\r\nabcde\r\n0\r\nl5d-orig-proto: HTTP/1.0\r\n\r\n"), arrives=1
    ),
    "trailer-bare-lf": Hostile(chunked(b"0\r\nX: y\nZ: 1\r\n\r\n")),
    "trailer-nul": Hostile(chunked(b"0\r\nX: \x00\r\n\r\n")),
    "trailer-folded": Hostile(chunked(b"0\r\nX: y\r\n z\r\n\r\n")),
    "trailer-no-colon": Hostile(chunked(b"0\r\n" + SMUGGLED)),
    "trailer-huge": Hostile(chunked(b"0\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")),
    "trailer-many": Hostile(chunked(b"0\r\n" + b"X: a\r\n" * 500 + b"\r\n")),
}

LINES = {
    "line-bare-lf": Hostile(b"GET /x HTTP/1.1\nHost: a\n\n"),
    "line-bare-lf-head-end": Hostile(b"GET /x HTTP/1.1\r\nHost: a\n\r\n"),
    "line-bare-cr": Hostile(b"GET /x HTTP/1.1\rHost: a\r\n\r\n"),
    "line-cr-cr-lf": Hostile(b"GET /x HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    "line-nul": Hostile(get(b"X: a\x00b")),
    "line-nul-name": Hostile(get(b"X\x00: a")),
    "line-del": Hostile(get(b"X: a\x7fb")),
    "line-bell": Hostile(get(b"X: a\x07b")),
    "line-fold": Hostile(get(b"X: a\r\n b")),
    "line-fold-tab": Hostile(get(b"X: a\r\n\tb")),
    "line-fold-first": Hostile(b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n"),
    "name-empty": Hostile(get(b": a")),
    "name-space": Hostile(get(b"X Y: a")),
    "name-trailing-space": Hostile(get(b"X : a")),
    "name-quote": Hostile(get(b'"X": a')),
    "name-parenthesis": Hostile(get(b"X(: a")),
    "name-high-bit": Hostile(get(b"X\xe9: a")),
    "name-no-colon": Hostile(get(b"XY")),
    "name-huge": Hostile(get(b"X" * 70_000 + b": a")),
    "value-huge": Hostile(get(b"X: " + b"a" * 70_000)),
    "fields-many": Hostile(get(*[b"X: a"] * 1000)),
    "target-huge": Hostile(get(target=b"/" + b"a" * 40_000)),
    "target-fragment": Hostile(get(target=b"/x#y")),
    "target-nul": Hostile(b"GET /\x00x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target-two-spaces": Hostile(b"GET  /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target-with-space": Hostile(b"GET /x y HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target-relative": Hostile(get(target=b"x")),
    "target-asterisk": Hostile(get(target=b"*")),
    "target-high-bit": Hostile(get(target=b"/\xff"), arrives=1),
    "target-utf-8": Hostile(get(target="/caf\u00e9?q=\u6d4b".encode()), arrives=1),
    "target-double-slash": Hostile(get(target=b"//evil/x"), arrives=1),
    "target-dots": Hostile(get(target=b"/../../x"), arrives=1),
    "target-percent-nul": Hostile(get(target=b"/%00"), arrives=1),
    "method-lower": Hostile(b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", arrives=1),
    "method-colon": Hostile(b"GET: /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "version-0.9": Hostile(get(version=b"HTTP/0.9")),
    "version-1.2": Hostile(get(version=b"HTTP/1.2")),
    "version-2.0": Hostile(get(version=b"HTTP/2.0")),
    "version-lower": Hostile(b"GET /x http/1.1\r\nHost: a\r\n\r\n"),
    "first-line-tabs": Hostile(b"GET\t/x\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    "first-line-after-lf": Hostile(b"\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "first-line-after-space": Hostile(b" GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "first-line-after-many": Hostile(b"\r\n" * 5 + get()),
    "first-line-late": Hostile(b"\r\n" * 600 + get()),
    "method-bad": Hostile(b"G@T /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "method-long": Hostile(b"A" * 40 + b"  /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target-long-and-wrong": Hostile(b"GET\t/" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "version-trailing": Hostile(get(version=b"HTTP/1.1 ")),
    "version-1.1x": Hostile(get(version=b"HTTP/1.1x")),
    "version-01.1": Hostile(b"GET /x HTTP/01.1\r\nHost: a\r\n\r\n"),
    "garbage-after-request": Hostile(get() + b"\x00\x01\x02 garbage\r\n\r\n", arrives=1),
    "garbage-lf-after-request": Hostile(
        get() + b"\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", arrives=1
    ),
    "crlf-before-second": Hostile(get() + b"\r\n" + get(), arrives=2),
    "many-crlf-before-second": Hostile(get() + b"\r\n\r\n\r\n" + get(), arrives=1),
    "half-a-second": Hostile(get() + b"GET /smug", arrives=1),
    "preface-in-the-middle": Hostile(get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", arrives=1),
}

ROUTING = {
    "host-missing": Hostile(get(host=b"")),
    "host-twice": Hostile(get(b"Host: b")),
    "host-twice-equal": Hostile(get(b"Host: a")),
    "host-list": Hostile(get(host=b"Host: a, b\r\n")),
    "host-at": Hostile(get(host=b"Host: a@b\r\n")),
    "host-slash": Hostile(get(host=b"Host: a/b\r\n")),
    "host-space": Hostile(get(host=b"Host: a b\r\n")),
    "host-space-before-colon": Hostile(get(host=b"Host : a\r\n")),
    "host-nul": Hostile(get(host=b"Host: a\x00\r\n")),
    "host-query": Hostile(get(host=b"Host: a?b\r\n")),
    "host-fragment": Hostile(get(host=b"Host: a#b\r\n")),
    "host-port-letters": Hostile(get(host=b"Host: a:80x\r\n")),
    "host-port-huge": Hostile(get(host=b"Host: a:99999\r\n")),
    "host-port-twice": Hostile(get(host=b"Host: a:80:80\r\n")),
    "host-bracket": Hostile(get(host=b"Host: [::1\r\n")),
    "host-fold": Hostile(get(host=b"Host:\r\n a\r\n")),
    "host-empty": Hostile(get(host=b"Host:\r\n"), arrives=1),
    "host-port-empty": Hostile(get(host=b"Host: a:\r\n"), arrives=1),
    "absolute-other-host": Hostile(get(target=b"http://b/x"), arrives=1),
    "absolute-user": Hostile(get(target=b"http://u@b/x")),
    "absolute-no-authority": Hostile(get(target=b"http:///x")),
    "absolute-ftp": Hostile(get(target=b"ftp://b/x")),
    "absolute-port-letters": Hostile(get(target=b"http://b:8x/x")),
    "absolute-without-host": Hostile(get(target=b"http://b/x", host=b"")),
    "absolute-options": Hostile(b"OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n", arrives=1),
    "connect-origin-form": Hostile(b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect-absolute-form": Hostile(b"CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect-without-port": Hostile(b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect-with-length": Hostile(
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nabcde"
    ),
    "connect-chunked": Hostile(
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\n\r\n" + HALVES
    ),
    "connection-content-length": Hostile(
        post(b"Connection: Content-Length", b"Content-Length: 35", body=SMUGGLED), arrives=1
    ),
    "connection-transfer-encoding": Hostile(
        post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked", body=HALVES),
        arrives=2,
    ),
    "connection-host": Hostile(get(b"Connection: Host"), arrives=1),
    "connection-close-pipelined": Hostile(get(b"Connection: close") + SMUGGLED, arrives=1),
    "connection-invalid": Hostile(get(b"Connection: a b")),
    "connection-many": Hostile(get(b"Connection: " + b",".join(b"x%d" % i for i in range(200)))),
    "upgrade-h2c": Hostile(
        get(
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        ),
        arrives=1,
    ),
    "upgrade-h2c-listed": Hostile(
        get(b"Connection: Upgrade", b"Upgrade: websocket, h2c"), arrives=1
    ),
    "upgrade-with-length": Hostile(
        post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 35", body=SMUGGLED),
        arrives=1,
    ),
    "upgrade-with-chunks": Hostile(
        post(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Transfer-Encoding: chunked",
            body=HALVES,
        ),
        arrives=2,
    ),
    "upgrade-refused-then-request": Hostile(
        get(b"Connection: Upgrade", b"Upgrade: websocket") + SMUGGLED, arrives=1
    ),
    "orig-proto-from-http1": Hostile(get(b"l5d-orig-proto: HTTP/1.0; absolute-form"), arrives=1),
    "no-host-1.0": Hostile(get(version=b"HTTP/1.0", host=b""), arrives=1),
    "pipelined-1.0": Hostile(get(version=b"HTTP/1.0") + SMUGGLED, arrives=1),
}

CORPUS = {**FRAMING, **CHUNKS, **LINES, **ROUTING}
