"""Changes of fields and of what is asked for, and what is none."""

import pytest

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.new_path import NewPath
from linkerd2_py._ext.exchange.testing import Asked, edited, undone

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


HOST = [(b"host", b"web:8080"), (b"a", b"b")]
NEW_HOST = [(b"a", b"b"), (b"Host", b"new.test")]


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(
    ("edits", "path", "authority"),
    [
        (Edits(path=NewPath(b"/new")), b"/new?c", b"web:8080"),
        (Edits(path=NewPath(b"/new", cut=2)), b"/new/b?c", b"web:8080"),
        (Edits(path=NewPath(b"/", cut=2)), b"/b?c", b"web:8080"),
        (Edits(host=b"new.test"), b"/a/b?c", b"new.test"),
        (Edits(path=NewPath(b"/new?d"), host=b"new.test"), b"/new?d", b"new.test"),
    ],
)
def test_a_request_asks_for_something_else(
    edits: Edits, path: bytes, authority: bytes, version: str
) -> None:
    fields = [] if version == "2" else HOST
    asked = Asked(fields, path=b"/a/b?c", authority=b"web:8080", version=version)
    asked.edit(edits)
    assert (asked.path, asked.authority, asked.target) == (path, authority, path)
    if version == "1.1":
        assert asked.fields == (NEW_HOST if edits.host else HOST)
    else:
        assert asked.fields == []
    assert asked.is_writable()


def test_a_target_that_names_its_authority_becomes_a_path() -> None:
    """Host says what was routed by."""
    fields = [(b"Host", b"other"), (b"a", b"b")]
    asked = Asked(fields, path=b"/a", authority=b"web", form="absolute")
    asked.edit(Edits(path=NewPath(b"/new")))
    assert (asked.form, asked.target) == ("origin", b"/new")
    assert asked.fields == [(b"a", b"b"), (b"Host", b"web")]


def test_what_has_no_path_keeps_it() -> None:
    edits = Edits(path=NewPath(b"/new"), host=b"new.test")
    asked = Asked(HOST, method=b"OPTIONS", path=b"*", authority=b"web:8080")
    asked.edit(edits)
    assert (asked.path, asked.authority, asked.fields) == (b"*", b"new.test", NEW_HOST)
    asked = Asked(HOST, method=b"CONNECT", path=b"", authority=b"web:8080")
    asked.edit(edits)
    assert (asked.path, asked.authority, asked.fields) == (b"", b"web:8080", HOST)


def test_who_names_no_host_gets_one_only_from_the_route() -> None:
    asked = Asked(path=b"/a", authority=b"", version="1.0")
    asked.edit(Edits(path=NewPath(b"/new")))
    assert (asked.path, asked.fields) == (b"/new", [])
    asked.edit(Edits(host=b"new.test"))
    assert asked.fields == [(b"Host", b"new.test")]


@pytest.mark.parametrize("host", [b"a:80", b"a b", b"a\r\nb: c", b"u@a", b"[::1", b"a/", b"a:"])
def test_what_is_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(ValueError, match="a rewrite to the host"):
        Edits(host=host)
