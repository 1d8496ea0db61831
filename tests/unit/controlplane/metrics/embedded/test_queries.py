"""The arithmetic of queries on hand-made samples; equality with Prometheus is tested elsewhere."""

import math

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded.queries import (
    histogram_quantile,
    increase,
    quantiles,
)
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore, Span
from linkerd2_py.controlplane.metrics.store import Selection, Window

MINUTE = Window(end_ms=60_000, length_ms=60_000)


def counter(*values: float, every_ms: int = 10_000) -> Span | None:
    return Span.of([(at * every_ms, value) for at, value in enumerate(values)])


def test_increase_over_the_whole_window() -> None:
    assert increase(counter(100, 110, 120, 130, 140, 150, 160), window=MINUTE) == 60


def test_increase_goes_on_over_a_restart() -> None:
    assert increase(counter(100, 110, 120, 5, 15, 25, 35), window=MINUTE) == 55


def test_increase_is_extended_to_the_ends_of_the_window_but_not_below_zero() -> None:
    samples = Span.of([(20_000, 4.0), (30_000, 14.0), (40_000, 24.0)])
    # It was zero 4 s before the first sample; half a distance after the last is taken as like it.
    assert increase(samples, window=MINUTE) == pytest.approx(20 * (4 + 20 + 5) / 20)


@pytest.mark.parametrize("samples", [[], [(1, 1.0)]])
def test_one_sample_says_nothing(samples: list[tuple[int, float]]) -> None:
    assert increase(Span.of(samples), window=MINUTE) is None


def test_a_counter_that_stands_still_has_not_grown() -> None:
    assert increase(counter(7, 7, 7, 7, 7, 7, 7), window=MINUTE) == 0


async def latencies(store: SampleStore, *, window: Window) -> tuple[float, ...]:
    asked = Selection({}, ())
    found = await quantiles(
        store, "response_latency_ms_bucket", selection=asked, window=window, wanted=(0.5, 0.99)
    )
    return found[()]


async def test_latencies_are_those_of_the_window_that_is_named() -> None:
    """Ten seconds of slow answers, then fast ones: they are slow for as long as the window reaches back."""
    store = SampleStore()
    fast = slow = 0
    for second in range(0, 42, 2):
        slow += 20 * (second <= 10)
        fast += 20 * (second > 10)
        counts = {"1": fast, "200": fast, "300": fast + slow, "+Inf": fast + slow}
        text = "".join(f'response_latency_ms_bucket{{le="{le}"}} {n}\n' for le, n in counts.items())
        store.append(Key("a", "b"), labels={}, text=text, at_ms=second * 1000)
    median, p99 = await latencies(store, window=Window(40_000, 60_000))
    assert (median < 1, p99 > 290) == (True, True)
    assert max(await latencies(store, window=Window(40_000, 20_000))) < 1
    assert min(await latencies(store, window=Window(10_000, 60_000))) > 200


BUCKETS = [(1.0, 0.0), (2.0, 10.0), (10.0, 20.0), (math.inf, 20.0)]


@pytest.mark.parametrize(("quantile", "value"), [(0.25, 1.5), (0.5, 2.0), (0.75, 6.0), (1.0, 10.0)])
def test_quantiles_lie_within_their_bucket(quantile: float, value: float) -> None:
    assert histogram_quantile(quantile, BUCKETS) == value


def test_observations_beyond_the_last_bound_are_at_it() -> None:
    assert histogram_quantile(0.99, [(1.0, 1.0), (50_000.0, 2.0), (math.inf, 9.0)]) == 50_000.0


def test_first_bucket_begins_at_zero_or_is_below_it() -> None:
    assert histogram_quantile(0.5, [(4.0, 2.0), (math.inf, 2.0)]) == 2.0
    assert histogram_quantile(0.5, [(-1.0, 2.0), (math.inf, 2.0)]) == -1.0


@pytest.mark.parametrize(
    "buckets",
    [[], [(math.inf, 3.0)], [(1.0, 1.0), (2.0, 3.0)], [(1.0, 0.0), (math.inf, 0.0)]],
)
def test_without_observations_there_is_no_quantile(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(histogram_quantile(0.5, buckets))


async def test_bounds_are_compared_as_numbers_and_others_left_out() -> None:
    store = SampleStore()
    for second in (1, 2):
        lines = [
            f'response_latency_ms_bucket{{le="1"}} {second}',
            f'response_latency_ms_bucket{{le="1.0"}} {second}',
            f'response_latency_ms_bucket{{le="+Inf"}} {2 * second}',
            f'response_latency_ms_bucket{{le="many"}} {second}',
        ]
        text = "\n".join(lines) + "\n"
        store.append(Key("a", "b"), labels={}, text=text, at_ms=second * 1000)
    found = await quantiles(
        store,
        "response_latency_ms_bucket",
        selection=Selection({}, ()),
        window=Window(2000, 2000),
        wanted=(0.5,),
    )
    assert found == {(): (0.5,)}
