"""Response heads: status lines, and which of them are followed by a body."""

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.testing import ParseError, parse_response_bytes


def response(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


def refused(message: bytes, method: bytes = b"GET") -> str:
    with pytest.raises(ParseError) as whole:
        parse_response_bytes(message, method=method)
    with pytest.raises(ParseError) as split:
        parse_response_bytes(message, method=method, step=1)
    assert split.value.fault == whole.value.fault
    return whole.value.text


def test_a_plain_response_is_read_into_its_parts() -> None:
    head = parse_response_bytes(response(b"Content-Length: 5", b"X: y"))
    assert head is not None
    assert (head["status"], head["reason"], head["version"]) == (200, b"OK", "1.1")
    assert (head["content_length"], head["end"], head["wants_close"]) == (5, False, False)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200", 200, b""),
        (b"HTTP/1.1 200 ", 200, b""),
        (b"HTTP/1.0 404 Not\tFound", 404, b"Not\tFound"),
        (b"HTTP/1.1 999 \xe9", 999, b"\xe9"),
        (b"HTTP/1.1 100 C", 100, b"C"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: bytes) -> None:
    head = parse_response_bytes(response(line=line))
    assert head is not None
    assert (head["status"], head["reason"]) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20",
        b"HTTP/1.1 2000",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 099 x",
        b"HTTP/1.1 +20 x",
        b"HTTP/1.1  200 x",
        b"HTTP/1.1\t200 x",
        b"HTTP/1.1 200\tOK",
        b"http/1.1 200 OK",
        b"ICY 200 OK...",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.x 200 OK",
    ],
)
def test_malformed_status_lines_are_refused(line: bytes) -> None:
    assert refused(response(line=line)) == "malformed status line"


def test_other_versions_are_refused() -> None:
    for version in (b"0.9", b"1.2", b"2.0"):
        assert refused(response(line=b"HTTP/" + version + b" 200 OK")) == "unsupported HTTP version"


@pytest.mark.parametrize(
    ("method", "status", "fields", "framing"),
    [
        (b"GET", 200, (), (False, -1, True)),
        (b"GET", 200, (b"Content-Length: 0",), (True, 0, False)),
        (b"GET", 200, (b"Transfer-Encoding: chunked",), (False, -1, False)),
        (b"HEAD", 200, (b"Content-Length: 9",), (True, 9, False)),
        (b"HEAD", 200, (b"Transfer-Encoding: chunked",), (True, -1, False)),
        (b"HEAD", 200, (), (True, -1, False)),
        (b"GET", 304, (b"Content-Length: 9",), (True, 9, False)),
        (b"GET", 204, (b"Content-Length: 9",), (True, -1, False)),
        (b"GET", 204, (b"Transfer-Encoding: chunked",), (True, -1, False)),
        (b"GET", 103, (b"Content-Length: 9",), (True, -1, False)),
        (b"GET", 205, (b"Content-Length: 9",), (False, 9, False)),
        (b"CONNECT", 200, (b"Content-Length: 9",), (True, -1, False)),
        (b"CONNECT", 299, (b"Transfer-Encoding: chunked",), (True, -1, False)),
        (b"CONNECT", 407, (b"Content-Length: 9",), (False, 9, False)),
    ],
)
def test_which_responses_have_a_body(
    method: bytes, status: int, fields: tuple[bytes, ...], framing: tuple[bool, int, bool]
) -> None:
    head = parse_response_bytes(response(*fields, line=b"HTTP/1.1 %d X" % status), method=method)
    assert head is not None
    assert (head["end"], head["content_length"], head["close_delimited"]) == framing
    if status in {103, 204} or (method == b"CONNECT" and status < 300):
        assert head["fields"] == []


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((b"Content-Length: 1", b"Content-Length: 1"), "repeated Content-Length"),
        (
            (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            "both Content-Length and Transfer-Encoding",
        ),
        ((b"Content-Length: +1",), "invalid Content-Length"),
        ((b"Transfer-Encoding: gzip",), "unsupported Transfer-Encoding"),
        ((b"Transfer-Encoding: chunked, chunked",), "invalid Transfer-Encoding"),
        ((b"X : y",), "whitespace before colon in header field"),
        ((b" x",), "folded header field"),
        ((b"X: \0",), "control byte in message head"),
        ((b"Connection: (",), "invalid Connection header field"),
    ],
)
def test_ambiguous_responses_are_refused(
    method: bytes, fields: tuple[bytes, ...], text: str
) -> None:
    assert refused(response(*fields), method) == text


def test_a_coding_in_1_0_is_refused() -> None:
    assert (
        refused(response(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK"))
        == "Transfer-Encoding in HTTP/1.0"
    )


def test_a_response_head_has_bounds() -> None:
    with pytest.raises(ParseError, match="too large"):
        parse_response_bytes(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 600, limits=Limits(head_bytes=512))
    with pytest.raises(ParseError, match="too many"):
        parse_response_bytes(response(b"A: 1", b"B: 2"), limits=Limits(head_fields=1))


@pytest.mark.parametrize(
    ("line", "fields", "close"),
    [
        (b"HTTP/1.1 200 OK", (b"Content-Length: 1",), False),
        (b"HTTP/1.1 200 OK", (b"Content-Length: 1", b"Connection: close"), True),
        (b"HTTP/1.1 200 OK", (), True),
        (b"HTTP/1.0 200 OK", (b"Content-Length: 1",), True),
        (b"HTTP/1.0 200 OK", (b"Content-Length: 1", b"Connection: keep-alive"), False),
        (b"HTTP/1.0 200 OK", (b"Connection: keep-alive",), True),
    ],
)
def test_which_responses_end_their_connection(
    line: bytes, fields: tuple[bytes, ...], close: bool
) -> None:
    head = parse_response_bytes(response(*fields, line=line))
    assert head is not None
    assert head["wants_close"] is close


def test_upgrade_survives_on_101_and_426_only() -> None:
    for status, upgrade, kept in ((101, True, 1), (426, False, 1), (200, False, 0)):
        head = parse_response_bytes(
            response(b"Connection: upgrade", b"Upgrade: websocket", line=b"HTTP/1.1 %d X" % status)
        )
        assert head is not None
        assert head["upgrade"] is upgrade
        assert len(head["fields"]) == kept


def test_hop_by_hop_fields_are_dropped() -> None:
    head = parse_response_bytes(
        response(
            b"Connection: x-a",
            b"X-A: 1",
            b"Keep-Alive: timeout=1",
            b"Proxy-Connection: close",
            b"X-B: 2",
        )
    )
    assert head is not None
    assert head["fields"] == [(b"X-B", b"2")]
