"""Paths in the place of others. What becomes of a request's is in test_redirect and test_edits."""

import pytest

from linkerd2_py._ext.exchange.new_path import NewPath


@pytest.mark.parametrize(
    ("text", "cut", "kept"),
    [
        (b"/new", -1, b"/new"),
        (b"/new/", -1, b"/new/"),
        (b"/new?a=b", -1, b"/new?a=b"),
        (b"/", -1, b"/"),
        (b"/new", 4, b"/new"),
        # The slash at the end of a beginning does not count.
        (b"/new/", 4, b"/new"),
        (b"/", 0, b""),
        ("/ä".encode(), -1, b"/%C3%A4"),
    ],
)
def test_what_is_new_is_kept_as_a_request_has_it(text: bytes, cut: int, kept: bytes) -> None:
    made = NewPath(text, cut=cut)
    assert (made.text, made.cut) == (kept, cut)


@pytest.mark.parametrize("cut", [-1, 0, 4])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"new",
        b"*",
        b"/a b",
        b"/a#b",
        b"/a\r\nx: y",
        b"/a\n",
        b"/\x00",
        b"/\x7f",
        b"/" + b"a" * 4096,
    ],
)
def test_what_is_no_path_is_refused(text: bytes, cut: int) -> None:
    with pytest.raises(ValueError, match="is no path"):
        NewPath(text, cut=cut)


def test_no_query_takes_the_place_of_a_beginning() -> None:
    with pytest.raises(ValueError, match="is no path"):
        NewPath(b"/new?a", cut=1)
