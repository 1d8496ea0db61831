"""The loop that runs checks: fatal ones stop it, slow ones are asked again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from linkerd2_py.cli.checks import run
from linkerd2_py.cli.checks.run import Check, NotYetError, Result, WarnedError, run_checks
from linkerd2_py.cli.errors import CliError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RETRY_EVERY_S", 0.01)


def _passes() -> None:
    return None


def _fails() -> None:
    raise CliError("broken")


def _warns() -> None:
    raise WarnedError("odd")


def _never() -> None:
    raise NotYetError("still starting")


def _run(*checks: Check, wait_s: float = 0.0) -> list[tuple[str, str, str]]:
    found = run_checks(checks, wait_s=wait_s, on_wait=lambda _reason: None)
    return [(result.description, result.outcome, result.message) for result in found]


def test_outcomes() -> None:
    assert _run(
        Check("c", "good", _passes), Check("c", "bad", _fails), Check("c", "odd", _warns)
    ) == [("good", "success", ""), ("bad", "error", "broken"), ("odd", "warning", "odd")]


def test_nothing_is_asked_after_a_fatal_failure() -> None:
    assert _run(Check("c", "bad", _fails, fatal=True), Check("c", "good", _passes)) == [
        ("bad", "error", "broken")
    ]


def test_a_slow_check_is_asked_again_until_it_passes() -> None:
    answers = iter([NotYetError("1"), NotYetError("2"), None])
    waited: list[str] = []

    def slow() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    found = list(run_checks([Check("c", "slow", slow)], wait_s=5, on_wait=waited.append))
    assert [result.outcome for result in found] == ["success"]
    assert waited == ["slow: 1", "slow: 2"]


def test_waiting_ends() -> None:
    assert _run(Check("c", "slow", _never), wait_s=0.05) == [("slow", "error", "still starting")]


def test_a_check_may_bring_further_results_and_a_hint() -> None:
    more = Result("other", "detail", "error", "why")

    def several() -> Sequence[Result]:
        return [more]

    checks = [Check("c", "several", several), Check("c", "bad", _fails, hint="do this")]
    found = list(run_checks(checks, wait_s=0, on_wait=lambda _reason: None))
    assert found[1] is more
    assert (found[0].hint, found[2].hint) == ("", "do this")


def test_what_may_still_come_up_is_told_whole_when_time_is_up() -> None:
    late = Result("other", "proxy-api", "error", "no such name yet")
    well = Result("other", "proxy-api", "success")
    asked: list[int] = []

    def asks() -> Sequence[Result]:
        asked.append(1)
        if len(asked) < 3:
            raise NotYetError("proxy-api: no such name yet", [late])
        return [well]

    checks = [Check("c", "itself", asks)]
    assert list(run_checks(checks, wait_s=0, on_wait=lambda _reason: None))[1:] == [late]
    waited: list[str] = []
    found = list(run_checks(checks, wait_s=5, on_wait=waited.append))
    assert found == [Result("c", "itself", "success"), well]
    assert waited == ["itself: proxy-api: no such name yet"]
