"""Detection against a model written as regular expressions; the answer never depends on how bytes were cut."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from linkerd2_py._ext.detect.testing import detect_bytes

TOKEN = rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]"
REQUEST = re.compile(rb"(?:\r\n){0,2}" + TOKEN + rb"{1,32} [^\x00-\x20\x7f]+ HTTP/[0-9]\.[0-9]")
PREFACE = b"PRI * HTTP/2.0"

pieces = st.sampled_from(
    [
        b"GET",
        b"PRI",
        b" ",
        b"/",
        b"*",
        b"HTTP/",
        b"1.1",
        b"2.0",
        b"\r\n",
        b"\r",
        b"http://",
        b"\x16\x03\x01",
        b"\x01",
        b"\x00",
        b"a" * 30,
    ]
)
streams = st.one_of(st.binary(max_size=64), st.lists(pieces, max_size=12).map(b"".join))


def model(data: bytes) -> str:
    """What the whole of `data` is, for streams too short for the long-target rule."""
    if data.startswith(PREFACE):
        return "http2"
    if re.match(rb"\x16\x03[\x00-\x04]", data) and len(data) >= 6:
        plausible = 4 <= int.from_bytes(data[3:5]) <= 16384 and data[5] == 1
        return "tls" if plausible else "opaque"
    return "http1" if REQUEST.match(data) else "other"


@given(streams)
@example(b"\r\n\r\n\r\nGET / HTTP/1.1")
def test_the_answer_agrees_with_the_model(data):
    found = detect_bytes(data)
    expected = model(data)
    if expected == "other":
        assert found in ("more", "opaque")
    else:
        assert found == expected


@given(streams, st.binary(max_size=40))
def test_an_answer_is_final(data, more):
    found = detect_bytes(data)
    if found != "more":
        assert detect_bytes(data + more) == found


@given(st.binary(min_size=1, max_size=4), st.integers(0, 40))
def test_more_means_that_some_continuation_is_a_protocol(start, cut):
    prefix = (start + b" / HTTP/1.1")[:cut]
    if detect_bytes(prefix) == "more":
        endings = [
            b"GET / HTTP/1.1",
            b" / HTTP/1.1",
            b"/ HTTP/1.1",
            b" HTTP/1.1",
            b"/",
            b"\nGET / HTTP/1.1",
        ]
        endings += [b"GET / HTTP/1.1"[at:] for at in range(14)] + [PREFACE[at:] for at in range(14)]
        endings += [b"\x16\x03\x01\x02\x00\x01"[at:] for at in range(6)]
        endings += [b" HTTP/1.1"[at:] for at in range(9)]
        assert any(detect_bytes(prefix + end) in ("http1", "http2", "tls") for end in endings)
