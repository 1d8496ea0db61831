"""Detection against a model written as regular expressions; the answer never depends on how
bytes were cut.
"""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from linkerd2_py._ext.detect.testing import detect_bytes

TOKEN = rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]"
REQUEST = re.compile(rb"(?i:(?:\r\n)*" + TOKEN + rb"+ [^\x00-\x20\x7f]+ HTTP/[0-9]\.[0-9])")
SPACE = rb"\x09-\x0d\x1c-\x20\x85\xa0"
METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE")
ASKS = re.compile(rb"(?i:" + b"|".join(METHODS) + rb")(?!" + TOKEN + rb")")
# A line, up to a byte that ends it, whose last word has a version in it.
ENDS_IN_VERSION = re.compile(
    rb"(?is:(?:.*["
    + SPACE
    + rb"])?[^"
    + SPACE
    + rb"]*HTTP/[0-9][^"
    + SPACE
    + rb"]*["
    + SPACE
    + rb"]*)"
)
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
        b"\n",
        b"\t",
        b"\x0b",
        b"\xa0",
        b"set",
        b"G",
        b"http/",
        b"1",
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
    return "http1" if REQUEST.match(data) else line(data.lstrip(b"\r\n \t"))


def line(text: bytes) -> str:
    """The first line that is not blank."""
    word = text.lstrip(b"\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0")
    if not word:
        return "more"
    if ASKS.match(word) or any(method.startswith(word.upper()) for method in METHODS):
        ends = [end.start() for end in re.finditer(rb"[\r\n]", word)]
        for end in ends:
            if ENDS_IN_VERSION.fullmatch(word[:end]):
                return "http1"
            if word[end : end + 1] == b"\n":
                return "opaque"
        return "more"
    if not re.match(TOKEN, text):
        return "opaque"
    control = re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", text)
    if control is None:
        return "more"
    ended = control[0] in b"\r\n" and ENDS_IN_VERSION.fullmatch(text[: control.start()])
    return "http1" if ended else "opaque"


@given(streams)
@example(b"\r\n\r\n\r\nGET / HTTP/1.1")
def test_the_answer_agrees_with_the_model(data):
    expected = model(data)
    if data[:1] == b"\x16" or PREFACE.startswith(data[:14]):
        return
    assert detect_bytes(data) == expected


@given(streams, st.binary(max_size=40))
def test_an_answer_is_final(data, more):
    found = detect_bytes(data)
    if found != "more":
        assert detect_bytes(data + more) == found


@given(streams)
def test_more_means_that_some_continuation_is_a_protocol(data):
    if detect_bytes(data) == "more":
        endings = [b" / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", PREFACE[len(data) :]]
        endings += [b"\x16\x03\x01\x02\x00\x01"[len(data) :]]
        assert any(detect_bytes(data + end) in ("http1", "http2", "tls") for end in endings)
