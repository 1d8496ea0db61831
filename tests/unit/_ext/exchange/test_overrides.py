"""What requests say of their own times and retries, read as Linkerd's proxy reads it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.testing import overridden

MS = 1_000_000
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
HUNDRED_YEARS_MS = 3_153_600_000_000
NAMES = [
    *(b"l5d-retry-http", b"l5d-retry-grpc", b"l5d-retry-limit", b"l5d-retry-timeout"),
    *(b"l5d-timeout", b"l5d-request-timeout", b"l5d-response-timeout"),
]


def said(*fields: tuple[str, str], retry: Retry | None = None) -> dict[str, Any] | None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    found, left = overridden(encoded, retry)
    ours = [name for name in left if name.lower().startswith(b"l5d-")]
    assert not ours
    return found


def duration_ns(text: str) -> int | None:
    """The independent reading."""
    found = re.fullmatch(r"[ \t]*([0-9]+)(ms|s|m|h|d|)[ \t]*", text)
    if found is None:
        return None
    number = int(found[1])
    if not found[2]:
        return 0 if number == 0 else None
    ms = number * UNITS[found[2]]
    return ms * MS if ms <= HUNDRED_YEARS_MS else None


TEXTS = st.one_of(
    st.from_regex(r"[0-9]{1,16}(ms|s|m|h|d)?", fullmatch=True),
    st.text("0123456789msh d-.+e\t", max_size=8),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f")),
)


@given(TEXTS)
def test_a_time_is_what_it_is_to_others(text: str) -> None:
    found = said(("l5d-timeout", text))
    expected = duration_ns(text)
    assert (None if found is None else found["request"]) == (
        None if expected is None else max(expected, 1)
    )


def test_the_longer_name_has_the_last_word() -> None:
    found = said(("L5D-Request-Timeout", "2s"), ("l5d-timeout", "1s"), ("l5d-timeout", "9s"))
    assert found is not None
    assert found["request"] == 2000 * MS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5xx", set(range(500, 600))),
        ("Gateway-Error", {502, 503, 504}),
        ("503", {503}),
        ("500-502, 504", {500, 501, 502, 504}),
        ("600", set()),
        ("99,100", {100}),
        ("504-502", set()),
        ("5xx-503", set()),
        ("502-503-504", set()),
        ("-503", set()),
        ("503-", set()),
        ("", set()),
        (",,", set()),
    ],
)
def test_statuses(text: str, expected: set[int]) -> None:
    found = said(("l5d-retry-http", text))
    assert found is not None
    assert (found["statuses"], found["retries"]) == (expected, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unavailable", {14}),
        ("Cancelled,deadline-exceeded, internal ,resource-exhausted", {1, 4, 8, 13}),
        ("14", set()),
        ("ok", set()),
    ],
)
def test_codes(text: str, expected: set[int]) -> None:
    found = said(("l5d-retry-grpc", text))
    assert found is not None
    assert found["codes"] == expected


def test_what_is_said_takes_the_place_of_what_the_route_says() -> None:
    route = Retry(statuses=((500, 599),), codes=(14,), limit=3, timeout_ns=5 * MS)
    assert said(("x", "y"), retry=route) == {
        "request": 0,
        "response": 0,
        "try": 5 * MS,
        "retries": 3,
        "statuses": set(range(500, 600)),
        "codes": {14},
    }
    found = said(("l5d-retry-http", "429"), ("l5d-retry-limit", "7"), retry=route)
    assert found is not None
    assert (found["statuses"], found["codes"], found["retries"]) == ({429}, {14}, 7)
    found = said(("l5d-retry-timeout", "1s"), ("l5d-retry-grpc", "internal"), retry=route)
    assert found is not None
    assert (found["try"], found["codes"], found["retries"]) == (1000 * MS, {13}, 3)


@pytest.mark.parametrize("limit", ["x", "", "-1", "1.5", "0x1", "1 2"])
def test_a_limit_that_is_none_is_not_said(limit: str) -> None:
    assert said(("l5d-retry-limit", limit)) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.binary(max_size=40),
        ),
        max_size=8,
    )
)
def test_whatever_is_said_is_bounded(fields: list[tuple[bytes, bytes]]) -> None:
    found, left = overridden([*fields, (b"x-other", b"stays")])
    assert left == [b"x-other"]
    if found is not None:
        assert all(
            0 <= found[name] <= HUNDRED_YEARS_MS * MS for name in ("request", "response", "try")
        )
        assert found["retries"] is None or 0 <= found["retries"] <= 65_535
