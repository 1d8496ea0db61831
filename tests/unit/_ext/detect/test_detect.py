"""Detection: each protocol, each way not to be it, and the patience it has."""

import pytest

from linkerd2_py._ext.detect.testing import detect_bytes, detect_http_bytes, may_ask_bytes

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HELLO = bytes([0x16, 3, 1, 0x02, 0x00, 1])


def verdict(data: bytes) -> tuple[str, int]:
    """The first answer other than `more`, and how many bytes it took."""
    for count in range(len(data) + 1):
        if (found := detect_bytes(data[:count])) != "more":
            return found, count
    return "more", len(data)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"CONNECT web.test:80 HTTP/1.1\r\n",
        b"GET http://web.test/ HTTP/1.1\r\n",
        b"VERSION-CONTROL /a%20b?c=d#e HTTP/1.1\r\n",
        b"x!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n",
        b"PRI / HTTP/1.1\r\n",
        b"PRI * HTTP/1.1\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
        b"GET / HTTP/3.0\r\n",
    ],
)
def test_a_request_line_is_http1_once_its_version_is_there(line):
    assert verdict(line) == ("http1", len(line) - 2)


def test_the_preface_is_http2_after_fourteen_bytes():
    assert verdict(PREFACE) == ("http2", 14)


def test_a_client_hello_is_tls_after_six_bytes():
    assert verdict(HELLO + bytes(100)) == ("tls", 6)


NEARLY = [
    b"GET /a b HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET / HTTP/1.1 \r\n",
    b"GET\t/\tHTTP/1.1\r\n",
    b"GET\x0b/\x0cHTTP/1.1\n",
    b"GET\xa0/\x85HTTP/1.1\x1c\n",
    b"\x0b\xa0GET / HTTP/1.1\n",
    b"GET /\tx HTTP/1.1\r\n",
    b"GET /\0x HTTP/1.1\r\n",
    b"GET /\x7f HTTP/1.1\r\n",
    b"get / http/1.1\r\n",
    b"GET / HTTP/01.1\r\n",
    b"GET / HTTP/1\r\n",
    b"GET / HTTP/1,1\r\n",
    b"GET / HTTP/1.x\r\n",
    b"GET /HTTP/1.1\r\n",
    b"GET HTTP/1.1\r\n",
    b"GET: / HTTP/1.1\r\n",
    b"G(T / HTTP/1.1\r\n",
    b"G@T / HTTP/1.1\r\n",
    b"G\xc9T / HTTP/1.1\r\n",
    b"FOO  / HTTP/1.1\r\n",
    b"FOO\t/\tHTTP/1.1\n",
    b"*1 / HTTP/1.1x\n",
    b"A" * 40 + b"  / HTTP/1.1\r\n",
    b" GET / HTTP/1.1\r\n",
    b"\nGET  / HTTP/1.1\n",
    b"\rGET  / HTTP/1.1\n",
    b"\r\n \t\r\n\r\nGET  / HTTP/1.1\r\n",
    b"GET  /x HTTP/1.1\rHost: a\r\n",
    b"GET /\rx HTTP/1.1\n",
    b"\x0b\nGET / HTTP/1.1\n",
    b"PRI * HTTP/2.1\r\n",
    b"\r\nPRI  * HTTP/2.0\r\n",
]


@pytest.mark.parametrize("line", NEARLY)
def test_a_line_that_ends_in_a_version_is_http1_however_wrong_the_rest_of_it_is(line):
    found, count = verdict(line)
    assert found == "http1"
    assert count <= len(line)
    assert detect_bytes(line + b"Host: a\r\n\r\n") == "http1"


@pytest.mark.parametrize(
    ("data", "decided_at"),
    [
        (b"\x00", 1),
        (b'{"id": 1}', 1),
        (b"<stream>", 1),
        (b"\x0bMSH|^~", 2),
        (b"\x1f\x8b", 2),
        (b"AMQP\x00\x00\x09\x01", 5),
        (b"0\x0c\x02\x01\x01", 2),
        (b"0033git-upload-pack /project.git\0host=a\0", 33),
        (b"GEX\0", 4),
        (b"GETX\0", 5),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 20),
        (b"EHLO mail.test\r\n", 15),
        (b"GET\r\n", 5),
        (b"GET /\r\n", 7),
        (b"GET / HTTX/1.1\n", 15),
        (b"GET / HTTP/x.1\n", 15),
        (b"GET / HTTP\n", 11),
        (b"OPTIONS rtsp://a/ RTSP/1.0\r\n", 28),
        (b"INVITE sip:a@b SIP/2.0\r\n", 23),
        (b"*1\r\n$4\r\nPING\r\n", 3),
        (b"PING\r\n", 5),
        (b"SET http HTTP\r\n", 14),
        (b"get a b c\r\n", 11),
        (b"GET key\r\n", 9),
        (b"set k 0 0 5\r\nabcde\r\n", 12),
        (b"\r\nPING\n", 7),
        (bytes([0x16, 2]), 2),
        (bytes([0x16, 3, 5]), 3),
        (bytes([0x16, 3, 1, 0, 3]), 5),
        (bytes([0x16, 3, 1, 0x40, 0x01]), 5),
        (bytes([0x16, 3, 1, 2, 0, 2]), 6),
    ],
)
def test_what_cannot_become_a_protocol_is_opaque_at_once(data, decided_at):
    assert verdict(data) == ("opaque", decided_at)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"G",
        b"GE",
        b"GET",
        b"GET ",
        b"GET /",
        b"GET\t/",
        b"GET\0",
        b"GET / HTTP/1.",
        b"PRI * HTTP/2.",
        b"\r",
        b"\n",
        b"\r\n",
        b"\x0b",
        b"FOO bar baz",
        HELLO[:5],
    ],
)
def test_what_can_still_become_one_waits(data):
    assert detect_bytes(data) == "more"


def test_a_long_target_is_http1_without_its_end():
    assert verdict(b"GET /" + b"a" * 5000) == ("http1", 1024)
    assert verdict(b"FOO https://web.test/" + b"a" * 5000) == ("http1", 1024)


def test_a_line_without_an_end_is_waited_for_longer_behind_a_method_in_use():
    assert verdict(b"SET " + b"a" * 9000) == ("opaque", 1024)
    assert verdict(b"SET /a " + b"a" * 9000) == ("opaque", 1024)
    assert verdict(b"SET hello" + b"a" * 9000) == ("opaque", 1024)
    assert verdict(b"GET " + b"a" * 9000) == ("http1", 8192)
    assert verdict(b"get " + b"key " * 1500 + b"\r\n") == ("opaque", 6006)


def test_nobody_else_begins_with_nothing_but_empty_lines():
    assert verdict(b"\r\n" * 5000) == ("http1", 8192)


@pytest.mark.parametrize(
    ("data", "may"),
    [
        (b"", False),
        (b"G", True),
        (b"FOO", True),
        (b"\r\n", True),
        (b"GET / HTTP/1.1", False),
        (b"\0", False),
        (HELLO[:5], False),
        (HELLO[:1], False),
    ],
)
def test_what_is_undecided_may_be_a_request(data, may):
    assert may_ask_bytes(data) is may


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"", "more"),
        (b"P", "more"),
        (PREFACE[:13], "more"),
        (PREFACE[:14], "http2"),
        (b"PU", "http1"),
        (b"G", "http1"),
        (b"*1\r\n", "http1"),
        (b"\0\1\2\3", "http1"),
        (HELLO[:5], "more"),
        (HELLO, "tls"),
        (bytes([0x16, 2]), "http1"),
    ],
)
def test_where_nothing_but_http_is_spoken_what_is_neither_tls_nor_http2_is_http1(said, found):
    assert detect_http_bytes(said) == found
