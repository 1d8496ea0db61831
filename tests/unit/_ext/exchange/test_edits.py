"""Changes of fields, and what is none."""

import pytest

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.testing import edited, undone

GIVEN = [(b"X-One", b"1"), (b"x-two", b"2"), (b"x-one", b"3")]


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        (Edits(), GIVEN),
        (Edits(add=[(b"X-ONE", b"4")]), [*GIVEN, (b"x-one", b"4")]),
        (Edits(set=[(b"X-ONE", b"4")]), [(b"x-two", b"2"), (b"x-one", b"4")]),
        (Edits(set=[(b"x-new", b" a b\t")]), [*GIVEN, (b"x-new", b"a b")]),
        (Edits(remove=[b"X-one", b"absent"]), [(b"x-two", b"2")]),
        # In this order.
        (
            Edits(
                add=[(b"a", b"1"), (b"b", b"1")], set=[(b"a", b"2"), (b"c", b"3")], remove=[b"c"]
            ),
            [*GIVEN, (b"b", b"1"), (b"a", b"2")],
        ),
    ],
)
def test_fields_are_changed(edits: Edits, expected: list[tuple[bytes, bytes]]) -> None:
    assert edited(edits, GIVEN) == expected
    assert undone(edits, GIVEN) == GIVEN


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":path", b"a\r\nb", b"\xc3\xa4", b"a" * 257])
def test_what_is_no_name_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="no name of a field"):
        Edits(remove=[name])


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"Content-Length",
        b"transfer-encoding",
        b"connection",
        b"upgrade",
        b"te",
        b"trailer",
        b"l5d-client-id",
        b"L5D_Client_Id",
        b"l5d-anything",
    ],
)
def test_what_frames_or_is_ours_is_nobody_elses(name: bytes) -> None:
    for given in ({"add": [(name, b"1")]}, {"set": [(name, b"1")]}, {"remove": [name]}):
        with pytest.raises(ValueError, match="not a route's to change"):
            Edits(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\x00", b"\x7f", b"a" * 4097])
def test_what_is_no_value_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="no value of a field"):
        Edits(set=[(b"a", value)])
