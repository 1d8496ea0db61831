"""Answers in pieces are the bytes that `json` would have written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.public_api.encode import BATCH, encode

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXTS
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=20,
)


def whole(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(_VALUES)
async def test_pieces_are_the_whole(value: object) -> None:
    assert await encode(value) == whole(value)


@pytest.mark.parametrize("length", [0, 1, BATCH, BATCH + 1, 3 * BATCH, 3 * BATCH + 1])
async def test_long_lists_are_whole_too(length: int) -> None:
    rows = [{"name": f"é{at}", "at": at} for at in range(length)]
    value = {"tables": [{"type": "pod", "rows": rows}]}
    assert await encode(value) == whole(value)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
async def test_what_json_has_not_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        await encode(value)
