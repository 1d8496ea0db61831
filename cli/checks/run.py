"""Health checks as values, and the loop that runs them: stop at the fatal, retry the slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from linkerd2_py.cli.errors import CliError

Outcome = Literal["success", "warning", "error"]
RETRY_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """How one check ended. A `message` may have several lines."""

    category: str
    description: str
    outcome: Outcome
    message: str = ""
    hint: str = ""


class NotYetError(Exception):
    """The check fails now and may succeed when asked again; the text says why. With `results`, it is these
    that are told when time is up.
    """

    def __init__(self, why: str, results: Sequence[Result] = ()) -> None:
        super().__init__(why)
        self.results = results


class WarnedError(Exception):
    """The check found something that does not stop anybody; the text says what."""


class SkippedError(Exception):
    """The check has no meaning here: nothing is said of it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `ask` returns further results, raises CliError, `NotYetError`, `WarnedError` or
    `SkippedError`.

    A `hint` that depends on what was found is made when it is needed. After a `fatal` one that fails, nothing
    further is asked; what fails of a `warning` stops nobody.
    """

    category: str
    description: str
    ask: Callable[[], Sequence[Result] | None]
    hint: str | Callable[[], str] = ""
    fatal: bool = False
    warning: bool = False


def run_checks(
    checks: Iterable[Check], *, wait_s: float, on_wait: Callable[[str], None]
) -> Iterator[Result]:
    """Run in order, yielding results as they come; retries share `wait_s` seconds in all."""
    deadline = time.monotonic() + wait_s
    for check in checks:
        try:
            result, further = _run_one(check, deadline=deadline, on_wait=on_wait)
        except SkippedError:
            continue
        yield result
        yield from further
        if check.fatal and result.outcome == "error":
            return


def _run_one(
    check: Check, *, deadline: float, on_wait: Callable[[str], None]
) -> tuple[Result, Sequence[Result]]:
    while True:
        try:
            further = check.ask() or ()
        except NotYetError as error:
            if time.monotonic() + RETRY_EVERY_S > deadline:
                if error.results:
                    return Result(check.category, check.description, "success"), error.results
                return _failed(check, message=str(error)), ()
            on_wait(f"{check.description}: {error}")
            time.sleep(RETRY_EVERY_S)
        except WarnedError as error:
            return _ended(check, outcome="warning", message=str(error)), ()
        except CliError as error:
            return _failed(check, message=str(error)), ()
        else:
            return Result(check.category, check.description, "success"), further


def _failed(check: Check, *, message: str) -> Result:
    return _ended(check, outcome="warning" if check.warning else "error", message=message)


def _ended(check: Check, *, outcome: Outcome, message: str) -> Result:
    hint = check.hint if isinstance(check.hint, str) else check.hint()
    return Result(check.category, check.description, outcome, message, hint)
