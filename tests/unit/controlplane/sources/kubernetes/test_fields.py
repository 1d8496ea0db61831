"""Fields that are texts with a meaning of their own."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.sources.kubernetes.fields import ports_of

MOST_CPU_S = 3.0

_ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


@pytest.mark.parametrize(
    ("listing", "ports"),
    [
        ("", set()),
        ("25,5432-5434,sql", {25, 5432, 5433, 5434, 70}),
        (" 1 - 3 ,3-2, x, 99999", {1, 2, 3}),
        ("65534-99999", {65534, 65535}),
    ],
)
def test_ports_are_listed_by_numbers_ranges_and_names(listing: str, ports: set[int]) -> None:
    assert ports_of(listing, (("sql", 70), ("other", 71))) == ports


@given(ranges=_ranges)
def test_each_port_of_each_range_is_there(ranges: list[tuple[int, int]]) -> None:
    listing = ",".join(f"{first}-{last}" for first, last in ranges)
    assert ports_of(listing) == {p for first, last in ranges for p in range(first, last + 1)}


def test_an_annotation_full_of_wide_ranges_is_read_as_fast_as_it_is_long() -> None:
    """Port by port a whole one takes minutes, and everybody else would wait."""
    listing = ",".join(f"{number % 7}-{65535 - number % 5}" for number in range(3_000))
    before = process_time()
    assert ports_of(listing) == set(range(65536))
    assert process_time() - before < MOST_CPU_S
