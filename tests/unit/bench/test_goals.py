"""When a goal is met, missed, not judged, or not measured; and that all goals can be measured at all."""

from dataclasses import replace

import pytest

from bench.goals import GOALS, Figure, Goal, judge
from bench.results import Outcome, Run
from bench.scenarios import ALL
from tests.support.bench_results import MACHINE, outcome, row

COST = "cpu_us_per_exchange"
RATIO = Goal(
    "G0",
    "CPU at most 0.8 of the better one",
    0.8,
    Figure("http1-64", "ours", COST),
    (Figure("http1-64", "nginx", COST), Figure("http1-64", "haproxy", COST)),
)
ABSOLUTE = Goal("G0", "at most 10", 10, Figure("http1-64", "ours", COST))


def run(*outcomes: Outcome) -> Run:
    return Run(MACHINE, "2026-01-01", outcomes)


def measured(ours: float, *, haproxy: bool = True) -> Outcome:
    rows = [row("ours", "ours", {COST: [ours, ours, 99.0]}), row("nginx", "nginx", {COST: [20.0]})]
    if haproxy:
        rows.append(row("haproxy", "haproxy", {COST: [10.0]}))
    return outcome(*rows)


@pytest.mark.parametrize(("ours", "state"), [(8.0, "met"), (8.1, "missed")])
def test_a_ratio_is_over_the_least_of_the_others(ours: float, state: str) -> None:
    found = RATIO.judge(run(measured(ours)))
    assert found.state == state
    assert found.measured == pytest.approx(ours / 10)


@pytest.mark.parametrize(("ours", "state"), [(10.0, "met"), (10.1, "missed")])
def test_without_others_the_figure_itself_is_bounded(ours: float, state: str) -> None:
    assert ABSOLUTE.judge(run(measured(ours))).state == state


def test_the_least_pass_may_be_what_counts() -> None:
    least = replace(ABSOLUTE, figure=replace(ABSOLUTE.figure, take="least"))
    found = outcome(row("ours", "ours", {COST: [30.0, 9.0, 30.0]}))
    assert ABSOLUTE.judge(run(found)).state == "missed"
    assert least.judge(run(found)).state == "met"


def test_a_missing_peer_leaves_the_goal_open_unless_any_will_do() -> None:
    without = run(measured(8.0, haproxy=False))
    found = RATIO.judge(without)
    assert found.state == "not measured"
    assert "haproxy" in found.why
    assert replace(RATIO, any_of=True).judge(without).measured == pytest.approx(0.4)


def test_a_scenario_that_was_not_run_leaves_the_goal_open() -> None:
    assert RATIO.judge(run()).state == "not measured"
    assert ABSOLUTE.judge(run()).state == "not measured"


def test_a_drifting_machine_gives_no_verdict_but_the_figure() -> None:
    found = RATIO.judge(run(replace(measured(1.0), calibration=(100.0, 120.0))))
    assert found.state == "no verdict"
    assert found.measured == pytest.approx(0.1)
    assert "drifted" in found.why


def test_nothing_is_divided_by_zero() -> None:
    rows = [row(name, "nginx", {COST: [0.0]}) for name in ("nginx", "haproxy")]
    found = RATIO.judge(run(outcome(row("ours", "ours", {COST: [1.0]}), *rows)))
    assert found.state == "not measured"


def test_every_goal_is_there() -> None:
    assert {goal.name for goal in GOALS} == {f"G{number}" for number in range(1, 14)}


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.text)
def test_a_goal_names_scenarios_and_subjects_that_exist(goal: Goal) -> None:
    for figure in goal.figures():
        assert figure.subject in ALL[figure.scenario].subjects


def test_all_are_judged() -> None:
    assert [judgement.goal for judgement in judge(run())] == list(GOALS)
