"""The key of a target, as an authority names it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.route.router import canonical


@pytest.mark.parametrize(
    ("authority", "key"),
    [
        (b"web.ns", b"web.ns:80"),
        (b"Web.NS.", b"web.ns:80"),
        (b"web:8080", b"web:8080"),
        (b"web:", b"web:80"),
        (b"web:080", b"web:80"),
        (b"[::1]", b"[::1]:80"),
        (b"[::1]:443", b"[::1]:443"),
        (b"web:0", None),
        (b"web:65536", None),
        (b"web:+1", None),
        (b":80", None),
        (b".", None),
        (b"", None),
    ],
)
def test_a_key_is_lower_case_without_a_last_dot_and_with_a_port(
    authority: bytes, key: bytes | None
) -> None:
    assert canonical(authority, 80) == key


@given(st.from_regex(rb"[A-Za-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True))
def test_a_key_is_its_own_key(authority: bytes) -> None:
    key = canonical(authority, 80)
    if key is not None and not key.startswith(b".") and b".:" not in key:
        assert canonical(key, 443) == key
