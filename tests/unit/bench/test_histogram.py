"""The histogram and the arrival schedule of the load generator, through a small C program each."""

import itertools
import json
import math
import random
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.wait import patience

NATIVE = Path(__file__).parents[3] / "bench" / "native"
SHARES = (0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0)

HISTOGRAM = r"""
#include "histogram.h"
#include <inttypes.h>
#include <stdlib.h>
int main(int count, char **shares)
{
    static struct histogram histogram;
    histogram_record(&histogram, 1);
    histogram_clear(&histogram);
    for (int64_t ns; scanf("%" SCNd64, &ns) == 1;)
        histogram_record(&histogram, ns);
    for (int i = 1; i < count; i++)
        printf("%.17g ", histogram_quantile_us(&histogram, atof(shares[i])));
    printf("%.17g %.17g\n", histogram_mean_us(&histogram), (double)histogram.max_ns / 1e3);
    histogram_write(&histogram, stdout);
}
"""

ARRIVALS = r"""
#include "load_arrivals.h"
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words)
{
    (void)count;
    struct arrivals arrivals = arrivals_from(1000, atof(words[1]), atoi(words[2]));
    for (int i = 0; i < 20000; i++, arrivals_take(&arrivals))
        printf("%lld\n", (long long)arrivals_next(&arrivals));
}
"""

Compile = Callable[[str], Path]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    folder = tmp_path_factory.mktemp("drivers")

    def build(source: str) -> Path:
        binary = folder / f"driver{abs(hash(source))}"
        if not binary.exists():
            flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{NATIVE}"]
            argv = ["cc", *flags, "-x", "c", "-", "-o", str(binary), "-lm"]
            subprocess.run(argv, input=source, text=True, check=True, timeout=60 * patience())
        return binary

    return build


def run(binary: Path, *words: object, text: str = "") -> list[str]:
    argv = [str(binary), *(str(word) for word in words)]
    ended = subprocess.run(
        argv, input=text, text=True, capture_output=True, check=True, timeout=60 * patience()
    )
    return ended.stdout.splitlines()


def exact_quantile(ordered: list[int], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] / 1e3


@pytest.mark.parametrize(
    "durations",
    [
        [1],
        [0, 1, 255, 256, 257],
        list(range(1000)),
        [1_000 * 2**i for i in range(27)],  # 1 us to 67 s
        [100_000_000_000],
        [2**i - 1 for i in range(1, 37)],
        [int(random.Random(seed).lognormvariate(11, 2)) for seed in range(5000)],
    ],
    ids=lambda durations: f"{len(durations)}",
)
def test_quantiles_are_within_one_percent(compiled: Compile, durations: list[int]) -> None:
    text = " ".join(map(str, durations))
    figures, histogram = run(compiled(HISTOGRAM), *SHARES, text=text)
    *quantiles, mean, most = map(float, figures.split())
    ordered = sorted(durations)
    for share, found in zip(SHARES, quantiles, strict=True):
        assert found == pytest.approx(exact_quantile(ordered, share), rel=0.01, abs=1e-9), share
    assert mean == pytest.approx(statistics.fmean(durations) / 1e3)
    assert most == ordered[-1] / 1e3
    buckets = json.loads(histogram)
    assert sum(count for _, count in buckets) == len(durations)
    assert [middle for middle, _ in buckets] == sorted({middle for middle, _ in buckets})


def test_longer_than_it_can_tell_is_kept_in_the_last_bucket(compiled: Compile) -> None:
    figures, histogram = run(compiled(HISTOGRAM), 0.5, 1.0, text=f"5 {10**15} -3")
    _, last, _, most = map(float, figures.split())
    assert most == 10**12
    assert 136e6 < last < 138e6
    assert [count for _, count in json.loads(histogram)] == [1, 1, 1]


def test_an_empty_histogram_has_no_quantiles(compiled: Compile) -> None:
    assert run(compiled(HISTOGRAM), 0.5) == ["0 0 0", "[]"]


def test_fixed_arrivals_are_even_and_do_not_drift(compiled: Compile) -> None:
    moments = run(compiled(ARRIVALS), 3000, 0)
    assert [int(moment) for moment in moments] == [
        pytest.approx(1000 + index * 1e9 / 3000, abs=1) for index in range(20000)
    ]


def test_poisson_arrivals_have_exponential_gaps(compiled: Compile) -> None:
    moments = [int(line) for line in run(compiled(ARRIVALS), 3000, 1)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    mean = 1e9 / 3000
    assert statistics.fmean(gaps) == pytest.approx(mean, rel=0.05)
    assert statistics.pstdev(gaps) == pytest.approx(mean, rel=0.05)
    for multiple in (0.1, 1, 3):
        longer = sum(gap > multiple * mean for gap in gaps) / len(gaps)
        assert longer == pytest.approx(math.exp(-multiple), abs=0.02)
