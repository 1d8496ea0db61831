"""Request heads: what is read, what is refused and with which status, and that splits change nothing."""

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.testing import ParseError, faults, parse_request_bytes

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes | None = b"a") -> bytes:
    lines = [line, *([b"Host: " + host] if host is not None else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def refused(message: bytes, limits: Limits | None = None) -> tuple[int, str]:
    """(status, text) of the refusal, after checking that every split gives the same one."""
    limits = limits or Limits()
    with pytest.raises(ParseError) as whole:
        parse_request_bytes(message, limits=limits)
    for step in (1, 2, 3, 7):
        with pytest.raises(ParseError) as split:
            parse_request_bytes(message, limits=limits, step=step)
        assert split.value.fault == whole.value.fault
    return whole.value.status, whole.value.text


def test_a_plain_request_is_read_into_its_parts() -> None:
    head = parse_request_bytes(
        b"GET /a?b=c HTTP/1.1\r\nHost: web:8080\r\nAccept:\t*/* \r\n\r\nrest"
    )
    assert head is not None
    assert (head["method"], head["method_id"], head["version"]) == (b"GET", "GET", "1.1")
    assert (head["form"], head["path"], head["authority"]) == ("origin", b"/a?b=c", b"web:8080")
    assert head["fields"] == [(b"Host", b"web:8080"), (b"Accept", b"*/*")]
    assert head["end"]
    assert not head["wants_close"]
    assert head["length"] == 53


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 16])
def test_a_head_is_the_same_however_it_arrives(step: int) -> None:
    message = (
        b"\r\nPOST http://h:1/p HTTP/1.1\r\nhost: h\r\nContent-Length: 3\r\nX: "
        + b"y" * 300
        + b"\r\n\r\nabc"
    )
    assert parse_request_bytes(message, step=step) == parse_request_bytes(message)


def test_an_incomplete_head_asks_for_more() -> None:
    message = request(b"X: y")
    assert all(parse_request_bytes(message[:cut]) is None for cut in range(len(message)))


@pytest.mark.parametrize(
    ("target", "form", "authority", "path", "scheme"),
    [
        (b"/", "origin", b"a", b"/", b""),
        (b"//b/c", "origin", b"a", b"//b/c", b""),
        (b"http://b", "absolute", b"b", b"/", b"http"),
        (b"HTTP://b:80/x", "absolute", b"b:80", b"/x", b"http"),
        (b"https://b/x?y", "absolute", b"b", b"/x?y", b"https"),
        (b"http://b?q=1", "absolute", b"b", b"/?q=1", b"http"),
        (b"http://[::1]:8080/", "absolute", b"[::1]:8080", b"/", b"http"),
        (b"http://b:/", "absolute", b"b:", b"/", b"http"),
        (b"/caf\xc3\xa9?\x80\xff", "origin", b"a", b"/caf\xc3\xa9?\x80\xff", b""),
    ],
)
def test_target_forms(
    target: bytes, form: str, authority: bytes, path: bytes, scheme: bytes
) -> None:
    head = parse_request_bytes(request(line=b"GET " + target + b" HTTP/1.1"))
    assert head is not None
    assert (head["form"], head["authority"], head["path"], head["scheme"]) == (
        form,
        authority,
        path,
        scheme,
    )
    assert head["target"] == target
    assert (b"Host", b"a") in head["fields"]


def test_asterisk_and_pathless_absolute_form_of_options() -> None:
    for target in (b"*", b"http://b"):
        head = parse_request_bytes(request(line=b"OPTIONS " + target + b" HTTP/1.1"))
        assert head is not None
        assert head["path"] == b"*"


def test_connect_takes_host_and_port_from_its_target() -> None:
    head = parse_request_bytes(request(line=b"CONNECT b:443 HTTP/1.1"))
    assert head is not None
    assert (head["form"], head["authority"], head["path"], head["end"]) == (
        "authority",
        b"b:443",
        b"",
        True,
    )


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /", 400),
        (b"GET / ", 400),
        (b"GET", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / HTTP/1.1 x", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"GET /\tHTTP/1.1", 400),
        (b"GET / HTTP/1.1\t", 400),
        (b" GET / HTTP/1.1", 400),
        (b"G@T / HTTP/1.1", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/+1.1", 400),
        (b"GET / HTTP/1.1.1", 400),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET * HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET #b HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET a:80 HTTP/1.1", 400),
        (b"GET ?x HTTP/1.1", 400),
        (b"GET http:// HTTP/1.1", 400),
        (b"GET http:/a HTTP/1.1", 400),
        (b"GET http:///x HTTP/1.1", 400),
        (b"GET http://u@b/ HTTP/1.1", 400),
        (b"GET http://b:x/ HTTP/1.1", 400),
        (b"GET http://b:65536/ HTTP/1.1", 400),
        (b"GET http://b,c/ HTTP/1.1", 400),
        (b"GET http://b%41/ HTTP/1.1", 400),
        (b"GET http://[::1/ HTTP/1.1", 400),
        (b"GET http://[x]/ HTTP/1.1", 400),
        (b"GET ftp://b/ HTTP/1.1", 400),
        (b"GET gopher://b HTTP/1.1", 400),
        (b"CONNECT / HTTP/1.1", 400),
        (b"CONNECT http://b/ HTTP/1.1", 400),
        (b"CONNECT b HTTP/1.1", 400),
        (b"CONNECT b: HTTP/1.1", 400),
        (b"CONNECT :80 HTTP/1.1", 400),
        (b"CONNECT b:443 HTTP/1.0", 400),
        (b"CONNECT * HTTP/1.1", 400),
    ],
)
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    assert refused(request(line=line))[0] == status


def test_one_empty_line_before_the_request_is_skipped_and_no_second() -> None:
    assert parse_request_bytes(b"\r\n" + request()) is not None
    assert refused(b"\r\n\r\n" + request()) == (400, "malformed request line")


@pytest.mark.parametrize("byte", [*range(9), *range(11, 13), *range(14, 32), 127])
def test_control_bytes_are_refused_in_names_values_and_targets(byte: int) -> None:
    control = bytes([byte])
    for message in (
        request(b"X" + control + b": y"),
        request(b"X: a" + control + b"b"),
        request(b"X:" + control),
        request(line=b"GET /" + control + b" HTTP/1.1"),
        request(line=b"GE" + control + b"T / HTTP/1.1"),
    ):
        assert refused(message) == (400, "control byte in message head")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "bare LF in message head"),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "bare LF in message head"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "bare LF in message head"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "bare LF in message head"),
        (b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", "bare CR in message head"),
        (b"GET / HTTP/1.1\r\nX: a\r\r\n\r\n", "bare CR in message head"),
        (b"GET / HTTP/1.1\r\n\rHost: a\r\n\r\n", "bare CR in message head"),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare LF in message head"),
        (GET + b" folded\r\n\r\n", "folded header field"),
        (GET + b"\tfolded\r\n\r\n", "folded header field"),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "folded header field"),
        (GET + b"X : y\r\n\r\n", "whitespace before colon in header field"),
        (GET + b"X\t: y\r\n\r\n", "whitespace before colon in header field"),
        (GET + b": y\r\n\r\n", "empty header field name"),
        (GET + b":\r\n\r\n", "empty header field name"),
        (GET + b"X\r\n\r\n", "header field without colon"),
        (GET + b"X y\r\n\r\n", "invalid header field name"),
        (GET + b"X(y): z\r\n\r\n", "invalid header field name"),
        (GET + b"X\x80: z\r\n\r\n", "invalid header field name"),
        (GET + b"[]: z\r\n\r\n", "invalid header field name"),
    ],
)
def test_broken_lines_are_refused(message: bytes, text: str) -> None:
    assert refused(message) == (400, text)


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (b"GET / HTTP/1.1\n", "bare LF"),
        (b"GET /\r\n", "malformed request line"),
        (b"GET  / HTTP/1.1\r\n", "malformed request line"),
        (b"GET / HTTP/1.3\r\n", "unsupported HTTP version"),
        (b"G@T / HTTP/1.1\r\n", "invalid method"),
        (GET + b"X Y: z\r\n", "invalid header field name"),
        (GET + b"X: y\r\nZ\r\n", "header field without colon"),
    ],
)
def test_what_can_only_become_worse_is_refused_when_that_is_known(start: bytes, text: str) -> None:
    for step in (0, 1, 2, 3, 7):
        with pytest.raises(ParseError, match=text):
            parse_request_bytes(start, step=step)
        with pytest.raises(ParseError, match=text):
            parse_request_bytes(start + b"\0\r\n\r\n", step=step)
    assert parse_request_bytes(start[:-1]) is None


def test_too_many_fields_are_refused_with_the_first_that_is_one_too_many() -> None:
    limits = Limits(head_fields=3)
    start = GET + b"A: 1\r\nB: 2\r\n"
    assert parse_request_bytes(start, limits=limits) is None
    for step in (0, 1, 2, 3, 7):
        with pytest.raises(ParseError, match="too many header fields"):
            parse_request_bytes(start + b"C: 3\r\n", limits=limits, step=step)


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a,b",
        b"u@a",
        b"a:b",
        b"a:99999",
        b"a/b",
        b"[::1",
        b"a\x80",
        b"a:1:2",
        b"[1]",
        b"%61",
        b'"a"',
    ],
)
def test_a_malformed_host_is_refused(value: bytes) -> None:
    assert refused(request(host=value)) == (400, "invalid Host header field")


@pytest.mark.parametrize("value", [b"a:", b"[::1]:"])
def test_the_port_of_a_host_may_be_empty(value: bytes) -> None:
    head = parse_request_bytes(request(host=value))
    assert head is not None
    assert head["authority"] == value


def test_host_must_occur_once_in_1_1() -> None:
    assert refused(b"GET / HTTP/1.1\r\n\r\n") == (400, "missing Host header field")
    assert refused(request(b"Host: a")) == (400, "repeated Host header field")
    assert refused(request(b"HOST: b")) == (400, "repeated Host header field")
    assert refused(request(b"Host: b", line=b"GET / HTTP/1.0")) == (
        400,
        "repeated Host header field",
    )


def test_host_may_be_missing_in_1_0_and_empty_in_1_1() -> None:
    for message in (request(line=b"GET / HTTP/1.0", host=None), request(host=b"")):
        head = parse_request_bytes(message)
        assert head is not None
        assert head["authority"] == b""


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+1",
        b"-1",
        b"0x1",
        b"1_0",
        b"1,1",
        b"1, 1",
        b"1 1",
        b"1.0",
        b"a",
        b"9" * 19,
        b"18446744073709551617",
        b"\xb2",
    ],
)
def test_a_length_that_is_not_plain_digits_is_refused(value: bytes) -> None:
    assert refused(request(b"Content-Length: " + value)) == (400, "invalid Content-Length")


def test_length_and_coding_conflicts_are_refused() -> None:
    assert refused(request(b"Content-Length: 3", b"Content-Length: 3")) == (
        400,
        "repeated Content-Length",
    )
    assert refused(request(b"Content-Length: 3", b"content-length: 4")) == (
        400,
        "repeated Content-Length",
    )
    both = (400, "both Content-Length and Transfer-Encoding")
    assert refused(request(b"Content-Length: 3", b"Transfer-Encoding: chunked")) == both
    assert refused(request(b"Transfer-Encoding: x", b"Content-Length: 0")) == both
    in_10 = request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0")
    assert refused(in_10) == (400, "Transfer-Encoding in HTTP/1.0")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"gzip", 501),
        (b"identity", 501),
        (b"xchunked", 501),
        (b"gzip, chunked", 501),
        (b"gzip,chunked", 501),
        (b"chunked, chunked", 400),
        (b"chunked,", 400),
        (b",chunked", 400),
        (b"chunked, gzip", 400),
        (b"chunked;q=1", 400),
        (b"chunked x", 400),
        (b'"chunked"', 400),
        (b"gzip, chunked, gzip", 400),
        (b"", 400),
    ],
)
def test_codings_other_than_chunked_are_refused(value: bytes, status: int) -> None:
    assert refused(request(b"Transfer-Encoding: " + value, line=b"POST / HTTP/1.1"))[0] == status


def test_two_coding_lines_are_refused() -> None:
    twice = request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    assert refused(twice) == (400, "invalid Transfer-Encoding")


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED", b"  chunked\t"])
def test_chunked_is_understood_in_any_case(value: bytes) -> None:
    head = parse_request_bytes(request(b"Transfer-Encoding: " + value))
    assert head is not None
    assert (head["chunked"], head["end"], head["content_length"]) == (True, False, -1)
    assert all(name != b"Transfer-Encoding" for name, _ in head["fields"])


def test_lengths_decide_whether_a_body_follows() -> None:
    for value, end in ((b"0", True), (b"00", True), (b"7", False)):
        head = parse_request_bytes(request(b"Content-Length: " + value))
        assert head is not None
        assert (head["content_length"], head["end"]) == (int(value), end)


def test_limits_of_line_head_and_fields() -> None:
    limits = Limits(head_bytes=512, request_line_bytes=100, head_fields=3)
    line = b"GET /" + b"a" * 86 + b" HTTP/1.1"
    assert len(line) == 100
    assert parse_request_bytes(request(line=line), limits=limits) is not None
    longer = line.replace(b"/a", b"/aa")
    assert refused(request(line=longer), limits) == (414, "request line too long")
    assert refused(longer[:102] + b"\0", limits) == (414, "request line too long")
    assert refused(request(b"A: 1", b"B: 2", b"C: 3"), limits) == (431, "too many header fields")
    exact = request(b"A: " + b"x" * (512 - len(request(b"A: "))))
    assert len(exact) == 512
    assert parse_request_bytes(exact, limits=limits) is not None
    assert refused(exact.replace(b"xx", b"xxx", 1), limits) == (431, "message head too large")
    assert refused(b"GET / HTTP/1.1\r\nA: " + b"x" * 600, limits) == (431, "message head too large")


def test_connection_options_take_their_fields_away() -> None:
    head = parse_request_bytes(
        request(
            b"Connection: X-Hop, keep-alive",
            b"X-Hop: 1",
            b"x-hop: 2",
            b"Keep-Alive: timeout=5",
            b"Y: 3",
        )
    )
    assert head is not None
    assert head["fields"] == [(b"Host", b"a"), (b"Y", b"3")]


def test_connection_options_never_take_framing_routing_or_our_fields_away() -> None:
    named = b"Connection: host, content-length, transfer-encoding, l5d-dst-override, l5d-orig-proto, l5d-x"
    head = parse_request_bytes(
        request(
            named,
            b"Content-Length: 2",
            b"l5d-dst-override: b",
            b"l5d-orig-proto: HTTP/1.1",
            b"L5d-X: 1",
        )
    )
    assert head is not None
    assert [name for name, _ in head["fields"]] == [
        b"Host",
        b"Content-Length",
        b"l5d-dst-override",
        b"l5d-orig-proto",
        b"L5d-X",
    ]
    assert head["content_length"] == 2


def test_connection_must_be_a_bounded_list_of_tokens() -> None:
    assert refused(request(b"Connection: close;x")) == (400, "invalid Connection header field")
    assert refused(request(b"Connection: a b")) == (400, "invalid Connection header field")
    assert refused(request(b"Connection: " + b"a," * 33)) == (
        400,
        "invalid Connection header field",
    )
    assert parse_request_bytes(request(b"Connection: , ,close,")) is not None


@pytest.mark.parametrize(
    ("version", "value", "close"),
    [
        (b"1.1", None, False),
        (b"1.1", b"close", True),
        (b"1.1", b"Close", True),
        (b"1.1", b"keep-alive, close", True),
        (b"1.0", None, True),
        (b"1.0", b"keep-alive", False),
        (b"1.0", b"Keep-Alive, close", True),
    ],
)
def test_who_wants_the_connection_closed(version: bytes, value: bytes | None, close: bool) -> None:
    fields = [] if value is None else [b"Connection: " + value]
    head = parse_request_bytes(request(*fields, line=b"GET / HTTP/" + version))
    assert head is not None
    assert head["wants_close"] is close


def test_a_valid_upgrade_is_kept() -> None:
    head = parse_request_bytes(request(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket"))
    assert head is not None
    assert head["upgrade"]
    assert (b"Upgrade", b"websocket") in head["fields"]


@pytest.mark.parametrize(
    "fields",
    [
        (b"Upgrade: websocket",),
        (b"Connection: upgrade",),
        (b"Connection: upgrade", b"Upgrade: h2c"),
        (b"Connection: upgrade", b"Upgrade: H2C"),
        (b"Connection: upgrade", b"Upgrade: websocket, h2c"),
        (b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: upgrade", b"Upgrade: ,"),
        (b"Connection: upgrade", b"Upgrade: a, ,b"),
        (b"Connection: upgrade", b"Upgrade:"),
        (b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 5"),
        (b"Connection: upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked"),
    ],
)
def test_an_upgrade_that_is_not_offered_on_is_stripped(fields: tuple[bytes, ...]) -> None:
    head = parse_request_bytes(request(*fields))
    assert head is not None
    assert not head["upgrade"]
    assert all(name != b"Upgrade" for name, _ in head["fields"])


def test_http2_settings_never_travels() -> None:
    head = parse_request_bytes(
        request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM")
    )
    assert head is not None
    assert head["fields"] == [(b"Host", b"a")]


def test_upgrade_needs_1_1() -> None:
    head = parse_request_bytes(
        request(b"Connection: upgrade", b"Upgrade: x", line=b"GET / HTTP/1.0")
    )
    assert head is not None
    assert not head["upgrade"]


def test_te_keeps_only_trailers() -> None:
    for value, left in (
        (b"trailers", [b"trailers"]),
        (b"gzip;q=1, trailers", [b"trailers"]),
        (b"gzip", []),
        (b"trailers;q=0", []),
    ):
        head = parse_request_bytes(
            request(
                b"Connection: TE",
                b"TE: " + value,
                b"TE: trailers" if value == b"trailers" else b"X: y",
            )
        )
        assert head is not None
        assert [v for n, v in head["fields"] if n == b"TE"] == left


def test_expect_is_seen_in_1_1_only() -> None:
    for version, seen in ((b"1.1", True), (b"1.0", False)):
        head = parse_request_bytes(
            request(b"Expect: 100-Continue", b"Content-Length: 1", line=b"PUT / HTTP/" + version)
        )
        assert head is not None
        assert head["expect_continue"] is seen


def test_connect_with_a_body_is_refused() -> None:
    for field in (b"Content-Length: 1", b"Transfer-Encoding: chunked"):
        assert refused(request(field, line=b"CONNECT b:1 HTTP/1.1")) == (
            400,
            "malformed CONNECT request",
        )
    assert (
        parse_request_bytes(request(b"Content-Length: 0", line=b"CONNECT b:1 HTTP/1.1")) is not None
    )


def test_every_fault_has_a_status_and_a_header_safe_text() -> None:
    for _, status, text in faults():
        assert status in {400, 414, 431, 501, 502, 505}
        assert text.isascii()
        assert text.isprintable()
    assert len({text for _, _, text in faults()}) == len(faults())


def test_more_fields_than_the_first_room_are_kept() -> None:
    fields = [b"X-%d: %d" % (i, i) for i in range(99)]
    head = parse_request_bytes(request(*fields))
    assert head is not None
    assert len(head["fields"]) == 100
