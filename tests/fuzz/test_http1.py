"""Mutated and generated HTTP/1 messages: one reading whatever the splits, and never one that another parser
would not share.
"""

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.http1_oracles import Refused, Seen, by_h11, by_llhttp, ours

CORPUS = Path(__file__).parent / "corpus_http1"
REQUESTS = [case.read_bytes() for case in sorted((CORPUS / "requests").iterdir())]
RESPONSES = [case.read_bytes() for case in sorted((CORPUS / "responses").iterdir())]

# Pieces that have split proxies before: terminators, separators, digits in other clothes, lengths and
# codings.
FRAGMENTS = [
    b"\r", b"\n", b"\r\n", b"\0", b"\t", b" ", b"\x0b", b"\x0c", b"\x7f", b"\x85", b"\xa0", b":", b",", b";", b"#", b"@", b"/", b"+", b"-", b"_", b"0x", b"0",
    b"5", b"Content-Length: 5\r\n", b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding : chunked\r\n", b"Host: b\r\n", b" folded\r\n",
    b"Connection: close, host\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"chunked",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A stored message with a few cuts, copies, flips and insertions."""
    message = bytearray(draw(st.sampled_from(seeds))[:4000])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(message)))
        change = draw(st.sampled_from(["insert", "delete", "flip", "copy"]))
        if change == "insert":
            message[at:at] = draw(st.sampled_from(FRAGMENTS) | st.binary(min_size=1, max_size=3))
        elif change == "delete":
            del message[at : at + draw(st.integers(1, 4))]
        elif change == "flip" and at < len(message):
            message[at] ^= 1 << draw(st.integers(0, 7))
        else:
            message[at:at] = message[at : at + draw(st.integers(1, 40))]
    return bytes(message)


def reading(message: bytes, *, request: bool, step: int = 0) -> Seen | str | None:
    try:
        return ours(message, request=request, step=step)
    except Refused as refusal:
        return str(refusal)


@pytest.mark.parametrize("request_side", [True, False])
@given(data=st.data())
def test_splits_never_change_a_reading(request_side: bool, data: st.DataObject) -> None:
    message = data.draw(mutated(REQUESTS if request_side else RESPONSES))
    whole = reading(message, request=request_side)
    for step in (1, 2, 7, 61):
        assert reading(message, request=request_side, step=step) == whole


def beyond_llhttp(seen: Seen) -> bool:
    """llhttp knows methods by name, and URLs by its own grammar."""
    return isinstance(seen.start[0], bytes)


@given(mutated(REQUESTS))
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
@example(b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n")
def test_a_request_that_we_accept_means_the_same_to_others(message: bytes) -> None:
    try:
        seen = ours(message, request=True)
    except Refused:
        return
    assume(seen is not None)
    assert seen is not None
    # h11 takes no empty line before a request, RFC 9112 2.2 does.
    if not message.startswith(b"\r\n"):
        assert seen == by_h11(message, request=True)
    try:
        other = by_llhttp(message, request=True)
    except Refused:
        assert beyond_llhttp(seen)
        return
    assert other is not None
    assert (seen.body, seen.complete) == (other.body, other.complete)
    assert seen.fields == other.fields


@given(mutated(RESPONSES))
def test_a_response_that_we_accept_means_the_same_to_others(message: bytes) -> None:
    try:
        seen = ours(message, request=False)
    except Refused:
        return
    assume(seen is not None)
    assert seen is not None
    # Interim and tunnel answers: h11 goes on to the next message, llhttp to a body.
    assume(isinstance(seen.start[0], int) and seen.start[0] >= 200)
    assert seen == by_h11(message, request=False)


TOKEN = st.text("!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz", min_size=1, max_size=12)
VALUE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
).map(lambda value: value.strip(" \t\xa0\x85").strip())
RESERVED = {"host", "content-length", "connection", "upgrade", "te", "expect", "keep-alive"}
RESERVED |= {"transfer-encoding", "proxy-connection", "http2-settings", "trailer"}
FIELDS = st.lists(st.tuples(TOKEN, VALUE), max_size=8).map(
    lambda fields: [(name, value) for name, value in fields if name.lower() not in RESERVED]
)


@given(
    method=TOKEN.filter(lambda name: name != "CONNECT"),
    path=st.text("abc/%20?=&~:@!$'()*+,;.-_", max_size=20),
    fields=FIELDS,
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=4),
    framing=st.tuples(st.booleans(), st.integers(0, 5)),
)
def test_well_formed_requests_are_accepted_and_read_back(
    method: str,
    path: str,
    fields: list[tuple[str, str]],
    chunks: list[bytes],
    framing: tuple[bool, int],
) -> None:
    chunked, step = framing
    body = b"".join(chunks)
    lines = [f"{method} /{path} HTTP/1.1", "Host: web:80"]
    lines += [f"{name}: {value}" for name, value in fields]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        content = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
        content = body
    message = "\r\n".join([*lines, "", ""]).encode("latin-1") + content
    seen = ours(message, request=True, step=step)
    assert seen is not None
    assert seen.start == (method.encode(), b"/" + path.encode())
    assert seen.body == body
    assert seen.complete
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    assert [field for field in seen.fields if field[0] != b"host"] == sent
    assert seen == by_h11(message, request=True)


@given(st.binary(max_size=400), st.integers(0, 3))
def test_noise_is_refused_or_awaited_and_nothing_else(noise: bytes, step: int) -> None:
    for request in (True, False):
        seen = reading(noise, request=request, step=step)
        assert seen is None or isinstance(seen, str)
