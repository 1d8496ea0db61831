"""Annotations of weights and zones: what they mean, and what is told of those that mean nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.balancing import (
    PREFER_ZONE,
    WEIGHT,
    prefers_zone,
    weight_of,
    weight_said,
)
from linkerd2_py.controlplane.mesh.objects import WHOLE, Key, Service

WRONG = [
    "",
    "0",
    "0.0009",
    "-1",
    "NaN",
    "inf",
    "1e3",
    "1000.0001",
    "4294967295",
    "1.",
    ".5",
    "1.00001",
    " 1",
    "\u0661",
]


@pytest.mark.parametrize(
    ("written", "weight"),
    [
        ("1", 10_000),
        ("0.5", 5_000),
        ("2.75", 27_500),
        ("0.001", 10),
        ("1000", 10_000_000),
        ("0001", 10_000),
    ],
)
def test_weights_are_in_ten_thousandths(written: str, weight: int) -> None:
    assert weight_of(written) == weight


@pytest.mark.parametrize("written", WRONG)
def test_what_is_no_weight_is_told_once(written: str, caplog: pytest.LogCaptureFixture) -> None:
    key = Key("shop", f"web-{WRONG.index(written)}")
    for _ in range(3):
        assert weight_said(written, kind="pod", key=key) == WHOLE
    (line,) = caplog.messages
    assert line.startswith(f"pod shop/{key.name}: {WEIGHT} must be a number from 0.001 to 1000")
    assert line.endswith("its weight is 1")


def test_a_line_has_nothing_that_a_terminal_obeys(caplog: pytest.LogCaptureFixture) -> None:
    weight_said("\x1b[2J" * 1000, kind="pod", key=Key("shop", "hostile"))
    assert "\x1b" not in caplog.text and len(caplog.messages[0]) < 300


@given(st.text())
def test_any_text_is_a_weight_or_none(written: str) -> None:
    found = weight_of(written)
    assert found is None or 10 <= found <= 10_000_000


def service(**annotations: str) -> Service:
    return Service("shop", "web", (), annotations=annotations)


@pytest.mark.parametrize(("written", "prefers"), [("true", True), ("1", True), ("false", False)])
def test_a_service_says_that_zones_are_preferred(written: str, prefers: bool) -> None:
    assert prefers_zone(service(**{PREFER_ZONE: written})) is prefers


def test_one_that_says_nothing_prefers_none() -> None:
    assert not prefers_zone(service())


def test_another_word_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert not prefers_zone(service(**{PREFER_ZONE: "often"}))
    (line,) = caplog.messages
    assert line == (
        f"service shop/web: {PREFER_ZONE} must be true or false, not 'often': no zone is preferred"
    )
