"""Mutated ClientHellos: one answer however they are cut, and never a name other than the one OpenSSL finds in
the same bytes.
"""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from linkerd2_py._ext.detect.testing import find_server_name
from tests.support.client_hello import (
    RECORD_MAX,
    Answer,
    client_context,
    cut,
    extensions,
    handshake_of,
    hello_of,
    host_name,
    in_records,
    message,
    named,
    record,
    seen_by_ssl,
    server_name,
    vector,
)

BROKEN = ("broken", b"")
ANSWERS = {"more", "name", "no name", "broken"}
CONTEXTS = [
    client_context(),
    client_context(tls12=True),
    client_context(alpn=["transport.l5d.io/v1", "h2", "http/1.1"], padded=True),
    client_context(ciphers="ALL", padded=True),
]
LABELS = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
# Without addresses: clients name nobody for those.
NAMES = st.lists(LABELS, min_size=1, max_size=6).map(".".join).filter(re.compile(r"[^0-9.]").search)
# What a name must look like, said another way; its last label is no number.
NAME = re.compile(
    rb"(?=.{1,253}\Z)(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\.)*(?!-)(?![0-9]+\Z)[A-Za-z0-9_-]{1,63}(?<!-)\Z",
    re.DOTALL,
)
SEEDS = [handshake_of(hello_of(context, "web.test")) for context in CONTEXTS]
SEEDS += [handshake_of(hello_of(CONTEXTS[0], "192.0.2.1")), message(b"")]
SEEDS += [
    message(extensions(*content))
    for content in (
        [named(b"web.test"), (10, vector(b"\0\x1d"))],
        [(10, vector(b"\0\x1d")), named(b"web.test"), (0xFF01, b"\0")],
        [named(b"web.test"), named(b"other.test")],
        [server_name(host_name(b"web.test"), host_name(b"other.test"))],
        [server_name(b"\x07" + vector(b"x"), host_name(b"web.test"))],
    )
]
FRAGMENTS = [
    vector(b""), b"\0\0", b"\xff\xff", b"\x16\x03\x01", b"\0", b".", b"-", b"*", b"\xe9",
    host_name(b"other.test"), extensions(named(b"other.test"))[2:], record(b""), record(b"\x01\x00", kind=21),
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message changed in places, in the records that some cuts make; or the records themselves changed."""
    handshake = bytearray(draw(st.sampled_from(SEEDS)))
    in_message = draw(st.booleans())
    if in_message:
        change(draw, handshake)
        if draw(st.booleans()):
            handshake[1:4] = (len(handshake) - 4).to_bytes(3)
    cuts = draw(st.lists(st.integers(1, len(handshake)), max_size=4))
    hello = bytearray(cut(bytes(handshake), at=cuts))
    if not in_message:
        change(draw, hello)
    return bytes(hello)


def change(draw: st.DrawFn, content: bytearray) -> None:
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(content) - 1))
        kind = draw(st.sampled_from(["set", "flip", "delete", "insert", "copy", "in name"]))
        if kind == "set":
            content[at] = draw(st.integers(0, 255))
        elif kind == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "delete" and len(content) > 20:
            del content[at : at + draw(st.integers(1, 4))]
        elif kind == "insert":
            content[at:at] = draw(st.sampled_from(FRAGMENTS) | st.binary(min_size=1, max_size=3))
        elif kind == "copy":
            content[at:at] = content[at : at + draw(st.integers(1, 40))]
        elif (start := content.find(b"web.test")) >= 0:
            content[start + draw(st.integers(0, 7))] = draw(st.integers(0, 255))


def is_plain(hello: bytes) -> bool:
    """Whether the first message comes in handshake records and nothing else, none of them empty."""
    carried = b""
    while len(carried) < 4 or len(carried) < 4 + int.from_bytes(carried[1:4]):
        length = int.from_bytes(hello[3:5])
        if hello[:1] != b"\x16" or not length:
            return False
        carried += hello[5 : 5 + length]
        hello = hello[5 + length :]
    return True


@given(NAMES, st.sampled_from(CONTEXTS), st.data())
def test_a_client_and_its_server_agree_with_us(name, context, data):
    hello = hello_of(context, name)
    expected = ("name", name.encode()) if NAME.match(name.encode()) else BROKEN
    assert find_server_name(hello) == expected
    assert seen_by_ssl(hello) == ("name", name.encode())
    handshake = handshake_of(hello)
    cuts = data.draw(st.lists(st.integers(1, len(handshake)), max_size=30))
    again = cut(handshake, at=cuts)
    assert find_server_name(again) == expected
    assert seen_by_ssl(again) == ("name", name.encode())


@given(mutated())
@example(record(b"\x01\x00", kind=21) + record(SEEDS[0]))
@example(record(SEEDS[0][:90]) + record(b"") + record(SEEDS[0][90:]))
def test_no_other_name_than_openssl(hello):
    compare(hello, allowed=[BROKEN, ("more", b"")])
    # OpenSSL waits for the end of a record where we need only that of the message: once it is there, both
    # have seen enough.
    compare(hello + bytes(RECORD_MAX), allowed=[BROKEN])


def compare(hello: bytes, *, allowed: list[Answer]) -> None:
    """`allowed`: what OpenSSL may say where we find a name, or find that there is none."""
    ours, theirs = find_server_name(hello), seen_by_ssl(hello)
    if ours[0] in ("name", "no name"):
        assert theirs in (ours, *allowed)
    elif theirs[0] in ("name", "no name"):
        # Where we are stricter, and nowhere else.
        assert ours == BROKEN
        assert not is_plain(hello) or (theirs[0] == "name" and not NAME.match(theirs[1]))


@given(mutated() | st.binary(max_size=60).map(lambda content: b"\x16\x03\x01" + content))
def test_cuts_never_change_an_answer(hello):
    whole = find_server_name(hello)
    assert whole[0] in ANSWERS
    answers = [find_server_name(hello[:count]) for count in range(len(hello) + 1)]
    first = next((at for at, answer in enumerate(answers) if answer[0] != "more"), len(hello))
    assert set(answers[first:]) == {whole}


@given(mutated(), st.binary(max_size=40))
def test_an_answer_is_final(hello, more):
    found = find_server_name(hello)
    assume(found[0] != "more")
    assert find_server_name(hello + more) == found


@given(st.binary(max_size=300))
def test_any_bytes_get_one_of_our_answers(content):
    for start in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x01\x00\x01\x00\x00"):
        state, name = find_server_name(start + content)
        assert state in ANSWERS
        assert bool(name) == (state == "name")


@pytest.mark.parametrize("handshake", SEEDS)
def test_seeds_are_what_they_seem(handshake):
    """OpenSSL takes what clients make, and we find what it finds."""
    hello = in_records(handshake)
    ours, theirs = find_server_name(hello), seen_by_ssl(hello)
    assert ours[0] != "more"
    assert theirs in (ours, BROKEN)
