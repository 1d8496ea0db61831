"""Latency buckets against a linear search in Python."""

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry

MS = 1_000_000
BOUNDS_MS = [step * unit for unit in (1, 10, 100, 1000, 10_000) for step in (1, 2, 3, 4, 5)]


@given(latency=st.integers(0, 2**63 - 2) | st.integers(0, 60_000 * MS))
def test_a_latency_falls_into_the_first_bound_that_is_not_below_it(latency: int) -> None:
    assert door.bucket(latency) == bisect.bisect_left([bound * MS for bound in BOUNDS_MS], latency)


@pytest.mark.parametrize("at", range(25))
def test_a_bound_belongs_to_its_own_bucket(at: int) -> None:
    bound = BOUNDS_MS[at] * MS
    assert [door.bucket(bound - 1), door.bucket(bound), door.bucket(bound + 1)] == [at, at, at + 1]


@given(latencies=st.lists(st.integers(0, 100_000 * MS), max_size=50))
def test_exported_buckets_are_cumulative_and_sum_is_whole_milliseconds(
    latencies: list[int],
) -> None:
    registry = Registry()
    handle = door.http(registry, b"", b"")
    for latency in latencies:
        door.response(handle, 200, latency_ns=latency)
    found = {}
    for line in b"".join(registry.render(0)).decode().splitlines():
        if line.startswith("response_latency_ms_"):
            name, _, value = line.rpartition(" ")
            found[name.removeprefix("response_latency_ms_").replace('status_code="200",', "")] = (
                int(value)
            )
    if not latencies:
        assert found == {}
        return
    for bound in BOUNDS_MS:
        expected = sum(latency <= bound * MS for latency in latencies)
        assert found[f'bucket{{le="{bound}"}}'] == expected
    assert found['bucket{le="+Inf"}'] == found['count{status_code="200"}'] == len(latencies)
    assert found['sum{status_code="200"}'] == sum(latency // 1000 for latency in latencies) // 1000
