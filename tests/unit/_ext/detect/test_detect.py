"""Detection: each protocol, each way not to be it, and the patience it has."""

import pytest

from linkerd2_py._ext.detect.testing import detect_bytes

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


@pytest.mark.parametrize(
    ("data", "decided_at"),
    [
        (b"\x00", 1),
        (b" GET / HTTP/1.1", 1),
        (b"\n", 1),
        (b"\rX", 2),
        (b"\r\n\r\n\r\nGET / HTTP/1.1", 5),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 20),
        (b"EHLO mail.test\r\n", 15),
        (b"GET\r\n", 4),
        (b"GET  / HTTP/1.1", 5),
        (b"GET /\r\n", 6),
        (b"GET /\tx HTTP/1.1", 6),
        (b"GET /\x7f HTTP/1.1", 6),
        (b"get / http/1.1", 7),
        (b"GET / HTTX/1.1", 10),
        (b"GET / HTTP/x.1", 12),
        (b"GET / HTTP/1,1", 13),
        (b"GET / HTTP/1.x", 14),
        (b"G(T / HTTP/1.1", 2),
        (b"G\xc9T / HTTP/1.1", 2),
        (b"A" * 40, 33),
        (b"*1\r\n$4\r\nPING\r\n", 3),
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
        b"GET / HTTP/1.",
        b"PRI * HTTP/2.",
        b"\r",
        b"\r\n",
        HELLO[:5],
    ],
)
def test_what_can_still_become_one_waits(data):
    assert detect_bytes(data) == "more"


def test_a_long_target_is_http1_without_its_end():
    assert verdict(b"GET /" + b"a" * 5000) == ("http1", 1024)
    assert verdict(b"GET https://web.test/" + b"a" * 5000) == ("http1", 1024)


def test_a_long_word_that_is_no_path_keeps_waiting():
    assert verdict(b"SET " + b"a" * 5000) == ("more", 5004)
