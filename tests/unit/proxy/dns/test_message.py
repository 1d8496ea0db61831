"""DNS messages: what is believed, and that nothing else is."""

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.proxy.dns.message import (
    TYPE_A,
    TYPE_AAAA,
    MessageError,
    Reply,
    encode_question,
    parse_answer,
)
from tests.support.dns_server import CNAME, SOA, A, encode_answer, encode_name, encode_record

NAME = "web.test"
QUERY = encode_question(NAME, kind=TYPE_A, number=0x1234)


def address(text: str) -> bytes:
    return socket.inet_aton(text)


def parsed(raw: bytes) -> Reply:
    return parse_answer(raw, name=NAME, kind=TYPE_A, number=0x1234)


def soa(ttl: int, minimum: int) -> bytes:
    names = encode_name("ns.test") + encode_name("x.test")
    return encode_record("test", SOA, ttl, names + struct.pack("!5I", 1, 2, 3, 4, minimum))


def test_a_question_on_the_wire() -> None:
    assert QUERY == b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x03web\x04test\0\0\x01\0\x01"


def test_a_name_that_is_none_is_not_asked_for() -> None:
    with pytest.raises(ValueError):
        encode_question("a..b", kind=TYPE_A, number=1)


def test_addresses_and_the_shortest_ttl() -> None:
    answer = parsed(
        encode_answer(
            QUERY,
            [
                encode_record(NAME, A, 30, address("10.0.0.1")),
                encode_record("WEB.test", A, 20, address("10.0.0.2")),
            ],
        )
    )
    assert answer.addresses == (address("10.0.0.1"), address("10.0.0.2"))
    assert answer.ttl_s == 20


def test_an_alias_is_followed_and_its_ttl_counts() -> None:
    records = [
        encode_record("real.test", A, 300, address("10.0.0.9")),
        encode_record(NAME, CNAME, 5, encode_name("real.test")),
    ]
    answer = parsed(encode_answer(QUERY, records))
    assert (answer.addresses, answer.ttl_s) == ((address("10.0.0.9"),), 5)


def test_addresses_of_other_names_are_not_ours() -> None:
    answer = parsed(encode_answer(QUERY, [encode_record("evil.test", A, 30, address("6.6.6.6"))]))
    assert answer.addresses == ()


def test_aliases_in_a_circle_are_refused() -> None:
    records = [encode_record(NAME, CNAME, 5, encode_name(NAME))]
    with pytest.raises(MessageError, match="aliases"):
        parsed(encode_answer(QUERY, records))


@pytest.mark.parametrize(("ttl", "minimum", "expected"), [(60, 10, 10), (7, 10, 7)])
def test_an_absence_lives_as_long_as_the_soa_says(ttl: int, minimum: int, expected: int) -> None:
    answer = parsed(encode_answer(QUERY, [], rcode=3, authority=[soa(ttl, minimum)]))
    assert (answer.rcode, answer.addresses, answer.ttl_s) == (3, (), expected)


def test_a_ttl_with_the_top_bit_is_zero() -> None:
    answer = parsed(encode_answer(QUERY, [encode_record(NAME, A, 2**31 + 5, address("10.0.0.1"))]))
    assert answer.ttl_s == 0


def test_a_cut_answer_says_so() -> None:
    assert parsed(encode_answer(QUERY, [], flags=0x8380)).truncated


def test_addresses_of_the_other_family_have_their_own_length() -> None:
    query = encode_question(NAME, kind=TYPE_AAAA, number=1)
    record = encode_record(NAME, TYPE_AAAA, 1, bytes(4))
    with pytest.raises(MessageError, match="length"):
        parse_answer(encode_answer(query, [record]), name=NAME, kind=TYPE_AAAA, number=1)


def test_a_name_that_points_at_itself_is_refused() -> None:
    """At itself, further on, and in a circle of two: each would be read for ever."""
    for pointer in (len(QUERY), len(QUERY) + 2, len(QUERY) + 12):
        record = (0xC000 | pointer).to_bytes(2) + struct.pack("!HHIH", A, 1, 1, 4) + bytes(4)
        back = (0xC000 | len(QUERY)).to_bytes(2)
        with pytest.raises(MessageError, match="points forwards"):
            parsed(encode_answer(QUERY, [record, back]))


def test_an_alias_that_leads_out_of_the_message_is_told() -> None:
    link = encode_record(NAME, CNAME, 5, encode_name("real.other"))
    answer = parsed(encode_answer(QUERY, [link], authority=[soa(60, 60)]))
    assert (answer.alias, answer.addresses, answer.ttl_s) == ("real.other", (), 5)


@pytest.mark.parametrize(
    ("target", "rcode"),
    [("real.test", 0), ("test", 0), ("real.other", 3), ("sp ace", 0), ("-x", 0)],
)
def test_an_alias_that_leads_nowhere_is_an_absence(target: str, rcode: int) -> None:
    link = encode_record(NAME, CNAME, 5, encode_name(target))
    answer = parsed(encode_answer(QUERY, [link], rcode=rcode, authority=[soa(60, 7)]))
    assert (answer.alias, answer.addresses, answer.ttl_s) == ("", (), 7)


def spoiled() -> list[bytes]:
    good = encode_answer(QUERY, [encode_record(NAME, A, 1, address("10.0.0.1"))])
    other = encode_question("web2.test", kind=TYPE_A, number=0x1234)
    kind = encode_question(NAME, kind=TYPE_AAAA, number=0x1234)
    return [
        b"\x12\x35" + good[2:],
        QUERY,
        encode_answer(QUERY, [], flags=0x8980),
        encode_answer(other, []),
        encode_answer(kind, []),
        good[:4] + b"\0\2" + good[6:],
        good[:-1],
        good[:20],
        b"",
        QUERY[:12] + b"\xc0\x0c\0\x01\0\x01",
        encode_answer(QUERY, [b"\xc0\xff" + bytes(10)]),
        encode_answer(QUERY, [b"\x80" + bytes(10)]),
        encode_answer(QUERY, [])[:6] + b"\xff\xff" + encode_answer(QUERY, [])[8:],
        encode_answer(QUERY, [(b"\x3f" + b"a" * 63) * 4 + b"\0" + bytes(10)]),
    ]


@pytest.mark.parametrize("number", range(14))
def test_what_is_no_answer_is_refused(number: int) -> None:
    with pytest.raises(MessageError):
        parsed(spoiled()[number])


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_the_one_error(tail: bytes) -> None:
    raw = QUERY[:2] + b"\x81\x80\0\1\0\2\0\1\0\0" + QUERY[12:] + tail
    with contextlib.suppress(MessageError):
        parsed(raw)


def test_names_that_point_back_are_followed() -> None:
    """As servers write them: the owner points at the question, an alias into a name before it."""
    question = 12
    alias = b"\xc0" + bytes([question]) + struct.pack("!HHIH", CNAME, 1, 9, 6)
    target = b"\x03api\xc0" + bytes([question + len("\x03web")])
    record = b"\x03api\xc0" + bytes([question + 4]) + struct.pack("!HHIH", A, 1, 7, 4)
    answer = parsed(encode_answer(QUERY, [alias + target, record + address("10.0.0.3")]))
    assert answer == Reply(rcode=0, truncated=False, addresses=(address("10.0.0.3"),), ttl_s=7)
