"""Medians, spreads, ratios within passes, and when a verdict is given."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bench.results import Outcome, Row, Run, Sample, kinds_of, ratio, row_as_json
from bench.subjects.subject import Family
from tests.support.bench_results import MACHINE, outcome, row

COST = "cpu_us_per_exchange"


def test_a_figure_is_the_median_and_the_spread_its_extremes() -> None:
    found = row("ours", "ours", {COST: [12.0, 10.0, 20.0]})
    assert found.figure(COST) == 12.0
    assert found.least(COST) == 10.0
    assert found.spread(COST) == (10.0, 20.0)


def test_a_figure_that_no_pass_has_is_none() -> None:
    found = row("ours", "ours", {COST: [1.0]})
    assert found.figure("p50_us") is None
    assert found.least("p50_us") is None
    assert found.spread("p50_us") is None


def test_a_ratio_is_taken_within_each_pass() -> None:
    # The machine was three times slower in the second pass, for both.
    mine = row("ours", "ours", {COST: [10.0, 30.0, 11.0]})
    theirs = row("nginx", "nginx", {COST: [20.0, 60.0, 20.0]})
    found = ratio(mine, theirs, COST)
    assert found is not None
    assert (found.median, found.low, found.high) == (0.5, 0.5, pytest.approx(0.55))


def test_passes_that_only_one_of_them_has_do_not_count() -> None:
    mine = row("ours", "ours", {COST: [10.0, 30.0]})
    theirs = row("nginx", "nginx", {COST: [20.0]})
    found = ratio(mine, theirs, COST)
    assert found is not None
    assert found.high == 0.5
    assert ratio(mine, row("direct", "direct", {"p50_us": [1.0]}), COST) is None


def compared(ours: Sequence[float], nginx: Sequence[float]) -> Outcome:
    return outcome(
        row("ours", "ours", {COST: ours}),
        row("nginx", "nginx", {COST: nginx}),
        row("haproxy", "haproxy", {COST: [value * 2 for value in nginx]}),
        row("relay", "limit", {COST: [0.1] * len(nginx)}),
    )


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        ([8.0, 9.0], "ours is better than every peer: 0.85 × nginx"),
        ([9.0, 11.0], "ours and the best peer are level: 1.00 × nginx"),
        ([11.0, 12.0], "ours is worse than the best peer: 1.15 × nginx"),
    ],
)
def test_the_verdict_compares_with_the_best_peer(ours: Sequence[float], words: str) -> None:
    verdict = compared(ours, [10.0, 10.0]).verdict()
    assert verdict.given
    assert verdict.text.startswith(words)


def test_without_peers_the_verdict_compares_with_ours_under_other_circumstances() -> None:
    found = outcome(
        row("ours", "ours", {COST: [10.0]}), row("ours-unmetered", "ours", {COST: [8.0]})
    )
    assert found.verdict().text.startswith("1.25 × ours-unmetered")


def test_alone_there_is_nothing_to_compare_with() -> None:
    verdict = outcome(row("ours", "ours", {COST: [10.0]})).verdict()
    assert not verdict.given


@pytest.mark.parametrize(
    ("calibration", "drifted"),
    [((10_000, 10_490), False), ((10_000, 10_510), True), ((10_000, 9_400), True)],
)
def test_a_drifting_machine_gives_no_verdict(
    calibration: tuple[float, float], drifted: bool
) -> None:
    verdict = replace(compared([1.0], [2.0]), calibration=calibration).verdict()
    assert verdict.given is not drifted
    assert ("drifted" in verdict.text) is drifted


def test_an_uncalibrated_machine_gives_no_verdict() -> None:
    assert not replace(compared([1.0], [2.0]), calibration=(None, 1.0)).verdict().given


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failure": "the origin did not listen"}, "the origin did not listen"),
        ({"failed": {"nginx": "nginx ended (SIGPIPE)"}}, "nginx ended (SIGPIPE)"),
    ],
)
def test_failures_give_no_verdict_and_make_the_run_unsound(
    change: Mapping[str, object], words: str
) -> None:
    found = replace(compared([1.0], [2.0]), **change)
    assert found.verdict().text == f"no verdict: {words}"
    assert not Run(MACHINE, "2026-01-01", (found,)).sound
    assert Run(MACHINE, "2026-01-01", (compared([1.0], [2.0]),)).sound


def test_errors_give_no_verdict_and_are_named_by_kind() -> None:
    samples = (Sample({COST: 5.0}, 2, {"reset": 2}), Sample({COST: 5.0}, 1, {"status": 1}))
    family: Family = "nginx"
    bad = Row("http1-64", "nginx", family, "1.22", samples)
    assert kinds_of(bad) == "2 reset, 1 status"
    found = outcome(row("ours", "ours", {COST: [1.0, 1.0]}), bad)
    assert found.verdict().text == "no verdict: 3 errors in nginx (2 reset, 1 status)"
    assert not Run(MACHINE, "2026-01-01", (found,)).sound


def test_a_row_in_json_has_medians_spreads_and_every_pass() -> None:
    found = row_as_json(row("ours", "ours", {COST: [3.0, 1.0, 2.0]}))
    assert found[COST] == 2.0
    assert found["spread"] == {COST: (1.0, 3.0)}
    assert found["samples"] == [{COST: 3.0}, {COST: 1.0}, {COST: 2.0}]
    assert (found["passes"], found["errors"]) == (3, 0)
