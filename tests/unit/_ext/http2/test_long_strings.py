"""The replacement of long header strings: what HPACK's decoder makes of a block afterwards, and what was kept aside."""

import pytest
from hpack import Decoder, Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.http2.testing import Scan

LONGEST = 65_536
KEEP = 1 << 20
SHORT = (b"short", b"value")
# Around the longest that is let through, and each remainder of what stands in for the rest.
SIZES = [LONGEST + 1, LONGEST + 2, LONGEST + 129, LONGEST + 130, LONGEST + 131, 81_920, 200_000]


def number(value: int, prefix: int, first: int = 0) -> bytes:
    """RFC 7541 section 5.1."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    wire = bytes([first | most])
    value -= most
    while value >= 128:
        wire += bytes([value % 128 | 128])
        value //= 128
    return wire + bytes([value])


def string(text: bytes) -> bytes:
    return number(len(text), 7) + text


def literal(name: bytes, value: bytes, *, remembered: bool = True) -> bytes:
    return (b"\x40" if remembered else b"\x00") + string(name) + string(value)


def decoded(block: bytes) -> list[tuple[bytes, bytes]]:
    decoder = Decoder(max_header_list_size=1 << 30)
    return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]


def replaced(block: bytes, *, step: int = 0, keep: int = KEEP) -> tuple[bytes, Scan]:
    scan = Scan(keep=keep)
    return scan.frame(block, step=step), scan


def seen(block: bytes, scan: Scan) -> list[tuple[bytes, bytes] | bytes | None]:
    """The fields as whoever reads them puts them together: a long value, None where it was not kept."""
    fields: list[tuple[bytes, bytes] | bytes | None] = []
    for at, field in enumerate(decoded(block)):
        found = scan.finds(at)
        if found is None:
            fields.append(field)
        elif not isinstance(found, str):
            fields.append(found["text"])
    return fields


def test_a_block_without_long_strings_is_left_alone() -> None:
    block = Encoder().encode([SHORT, (b"long", b"x" * LONGEST), SHORT])
    after, scan = replaced(block)
    assert after == block
    assert scan.strings == []
    assert scan.fields == 3


@pytest.mark.parametrize("size", SIZES)
def test_a_long_value_is_kept_aside_and_every_other_field_stays(size: int) -> None:
    value = b"v" * size
    after, scan = replaced(literal(*SHORT) + literal(b"long", value) + literal(*SHORT))
    assert seen(after, scan) == [SHORT, value, SHORT]
    assert scan.fields == len(decoded(after))


@pytest.mark.parametrize("size", SIZES)
def test_what_stands_in_is_as_long_as_what_was_there_and_no_string_of_it_is_long(size: int) -> None:
    block = literal(b"long", b"v" * size)
    after, _ = replaced(block)
    assert len(after) == len(block)
    assert all(len(value) <= LONGEST for _, value in decoded(after))


def test_a_value_over_the_limit_is_not_kept() -> None:
    after, scan = replaced(literal(b"long", b"v" * 100_000) + literal(*SHORT), keep=99_999)
    assert seen(after, scan) == [None, SHORT]
    assert scan.strings[0]["length"] == 100_000


def test_a_long_name_takes_its_value_with_it() -> None:
    after, scan = replaced(literal(b"n" * 70_000, b"of it") + literal(*SHORT))
    [name] = scan.strings
    assert name["is_name"]
    assert name["text"] is None
    assert decoded(after)[-1] == SHORT
    assert b"of it" not in [value for _, value in decoded(after)]


def test_several_long_strings_of_one_block_are_told_apart() -> None:
    values = [bytes([letter]) * (70_000 + letter) for letter in b"abcdef"]
    after, scan = replaced(b"".join(literal(b"long", value) + literal(*SHORT) for value in values))
    assert seen(after, scan) == [field for value in values for field in (value, SHORT)]


def test_a_long_string_empties_the_dynamic_table_as_it_would_itself() -> None:
    """RFC 7541 section 4.4; an index behind it would otherwise mean another field."""
    after, _ = replaced(literal(*SHORT) + literal(b"long", b"v" * 70_000))
    decoder = Decoder(max_header_list_size=1 << 30)
    decoder.decode(after, raw=True)
    assert not decoder.header_table.dynamic_entries


def test_what_is_not_to_be_remembered_leaves_the_table_alone() -> None:
    block = literal(*SHORT) + literal(b"long", b"v" * 70_000, remembered=False) + number(62, 7, 128)
    after, scan = replaced(block)
    assert seen(after, scan) == [SHORT, b"v" * 70_000, SHORT]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_the_bytes_may_be_cut_anywhere(step: int) -> None:
    block = literal(*SHORT) + literal(b"long", b"v" * 66_000) + literal(b"n" * 66_000, b"value")
    whole, first = replaced(block)
    cut, second = replaced(block, step=step)
    assert cut == whole
    assert second.strings == first.strings


def test_a_block_may_span_frames() -> None:
    block = literal(b"long", b"v" * 70_000) + literal(*SHORT)
    scan = Scan(keep=KEEP)
    after = b"".join(scan.frame(block[at : at + 16_384]) for at in range(0, len(block), 16_384))
    assert seen(after, scan) == [b"v" * 70_000, SHORT]


def test_padding_and_priority_are_no_part_of_the_block() -> None:
    block = literal(b"long", b"v" * 70_000)
    payload = b"\x05" + b"\xff" * 5 + block + b"\x40" * 5
    scan = Scan(keep=KEEP)
    after = scan.frame(payload, padded=True, with_priority=True)
    assert after[:6] == payload[:6]
    assert after[-5:] == payload[-5:]
    assert seen(after[6:-5], scan) == [b"v" * 70_000]


@pytest.mark.parametrize(
    ("payload", "padded", "with_priority"),
    [
        pytest.param(b"\x02\x82", True, False, id="more padding than frame"),
        pytest.param(b"\x00\x00", False, True, id="less than a priority"),
        pytest.param(b"\x40\x7f\xff\xff\xff\xff\x01", False, False, id="a length of five bytes"),
    ],
)
def test_what_is_no_block_is_left_to_the_library(
    payload: bytes, padded: bool, with_priority: bool
) -> None:
    scan = Scan(keep=KEEP)
    assert scan.frame(payload, padded=padded, with_priority=with_priority) == payload
    assert scan.given_up


FIELDS = st.tuples(st.sampled_from([0, 3, LONGEST, LONGEST + 1, 70_123]), st.booleans())


@settings(max_examples=30, deadline=None)
@given(st.lists(FIELDS, max_size=5), st.sampled_from([0, 1000, 16_384]))
def test_any_block_stays_in_step(fields: list[tuple[int, bool]], step: int) -> None:
    block = b"".join(
        literal(b"name", b"v" * size, remembered=remembered) for size, remembered in fields
    )
    after, scan = replaced(block, step=step)
    assert scan.fields == len(decoded(after))
    assert seen(after, scan) == [
        b"v" * size if size > LONGEST else (b"name", b"v" * size) for size, _ in fields
    ]
