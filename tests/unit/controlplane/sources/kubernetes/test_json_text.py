"""What API servers send is read, however deep somebody's object is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.sources.kubernetes import json_text
from linkerd2_py.controlplane.sources.kubernetes.json_text import DEEPEST, parse

# An API server takes objects as deep as this.
HOLE = 9_000
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def hole(opens: str = '{"a":', closes: str = "}", inside: str = "1") -> str:
    return opens * HOLE + inside + closes * HOLE


@pytest.mark.parametrize(
    "deep", [hole(), hole("[", "]"), hole('[{"\\"]": ', "}]"), hole(inside='"}]\\""')]
)
def test_what_is_too_deep_is_null_and_all_around_it_stays(deep: str) -> None:
    body = '{"before": ["]}", {"x": 1}], "deep": ' + deep + ', "after": {"y": [2, "\\\\"]}}'
    found = parse(body.encode())
    assert isinstance(found, dict)
    assert found["before"] == ["]}", {"x": 1}]
    assert found["after"] == {"y": [2, "\\"]}
    levels, value = 1, found["deep"]
    while value is not None:
        (value,) = value.values() if isinstance(value, dict) else value
        levels += 1
    assert levels == DEEPEST


@pytest.mark.parametrize("body", [hole(closes=""), '{"a": ' + hole(), '"' + hole(), "", "{"])
def test_half_of_something_is_nothing(body: str) -> None:
    with pytest.raises(ValueError):  # whatever the parser says
        parse(body.encode())


@given(found=_json)
def test_what_is_not_too_deep_is_not_changed(found: object) -> None:
    body = json.dumps(found, ensure_ascii=False).encode()
    assert json.loads(json_text._shallow(body)) == found  # else only asked when deep
