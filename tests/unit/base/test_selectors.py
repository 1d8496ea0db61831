"""Label selectors mean what kubectl's mean."""

from __future__ import annotations

import pytest

from linkerd2_py.base.selectors import parse_selector

WEB = {"app": "web", "tier": "front"}
API = {"app": "api"}


@pytest.mark.parametrize(
    ("text", "web", "api"),
    [
        ("", True, True),
        ("app=web", True, False),
        ("app==web", True, False),
        ("app = web", True, False),
        ("app!=web", False, True),
        ("tier!=front", False, True),
        ("tier", True, False),
        ("!tier", False, True),
        ("app in (web, api)", True, True),
        ("app in (web),tier", True, False),
        ("app notin (web,other)", False, True),
        ("tier notin (front)", False, True),
        ("app=web,tier=back", False, False),
        ("app=", False, False),
    ],
)
def test_selectors(text: str, web: bool, api: bool) -> None:
    fits = parse_selector(text)
    assert (fits(WEB), fits(API)) == (web, api)


@pytest.mark.parametrize("text", ["=web", "app=web,", "app in web", "a b", "app=web;", "in (a)x"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a label selector"):
        parse_selector(text)
