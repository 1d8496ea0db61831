"""pytest bench/micro: how long each case takes. A round of 1,000 operations shows nanoseconds per operation
as microseconds.

Beside the rounds, the JSON report (--benchmark-json) has `operation_ns`, and for the exposition bytes per
second and nanoseconds per series. Nothing here fails for being slow; a case fails when its work was not done.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.micro.cases import LABEL_SETS, Case, all_cases, exposition_size

ROUNDS = 50
EXPOSITION_ROUNDS = 10
CASES = all_cases()


def measured(benchmark: BenchmarkFixture, case: Case, rounds: int) -> float:
    """Nanoseconds of one operation in the best round."""
    with case.prepare() as run:
        benchmark.pedantic(run, args=(case.timed,), rounds=rounds, iterations=1, warmup_rounds=2)
    if benchmark.stats is None:  # --benchmark-disable: the case was run once, for its work
        return 0.0
    nanoseconds: float = benchmark.stats.stats.min * 1e9 / case.timed
    benchmark.extra_info["operation_ns"] = nanoseconds
    return nanoseconds


@pytest.mark.parametrize("name", [name for name in CASES if name != "metrics-exposition"])
def test_case(benchmark: BenchmarkFixture, name: str) -> None:
    measured(benchmark, CASES[name], ROUNDS)


def test_metrics_exposition(benchmark: BenchmarkFixture) -> None:
    size, series = exposition_size(LABEL_SETS)
    benchmark.extra_info.update(bytes=size, series=series)
    nanoseconds = measured(benchmark, CASES["metrics-exposition"], EXPOSITION_ROUNDS)
    if nanoseconds:
        benchmark.extra_info["bytes_per_second"] = size * 1e9 / nanoseconds
        benchmark.extra_info["series_ns"] = nanoseconds / series
