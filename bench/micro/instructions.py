"""python -m bench.micro.instructions [CASE…]: user instructions per operation of the engine, the same on
every run.

Each case runs in a child under callgrind, once with a number of operations and once with twice as many; the
difference is theirs alone.
"""

import argparse
import math
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.micro.baseline import BadBaseline, Baseline, Change, Circumstances, changes
from bench.micro.callgrind import CountingFailed, count_child, per_operation, valgrind
from bench.micro.cases import Case, all_cases

GREW, FAILED, INTERRUPTED = 1, 2, 130


def count(case: Case) -> float:
    """Instructions of one operation."""
    once, twice = (
        count_child("bench.micro.run", case.name, str(times))
        for times in (case.counted, 2 * case.counted)
    )
    return round(per_operation(once, twice, case.counted), 1)


# ---- What the user sees


def row(change: Change, *, width: int, compared: bool) -> str:
    line = f"{change.case:<{width}}  {change.now:>14,.1f}"
    if not compared:
        return line
    if change.before is None or change.percent is None:
        return f"{line}  {'new':>14}"
    return f"{line}  {change.before:>14,.1f}  {change.percent:>+8.2f} %"


def head(*, width: int, compared: bool) -> str:
    line = f"{'case':<{width}}  {'instructions':>14}"
    return f"{line}  {'baseline':>14}  {'change':>10}" if compared else line


def count_all(cases: Iterable[Case], before: Baseline | None) -> list[Change]:
    """Counts one case after another and prints each as it is known."""
    names = [case.name for case in cases]
    width = max(len(name) for name in names)
    print(head(width=width, compared=before is not None))
    known = before.instructions if before else {}
    found = []
    for case in cases:
        [change] = changes(known, {case.name: count(case)})
        print(row(change, width=width, compared=before is not None), flush=True)
        found.append(change)
    return found


def verdict(
    found: Sequence[Change], before: Baseline, here: Circumstances, tolerance: float
) -> int:
    """Says what grew, and what else may be the reason; the exit status."""
    for difference in here.differences(before.circumstances):
        print(f"not as in the baseline: {difference}", file=sys.stderr)
    grown = [change.case for change in found if change.exceeds(tolerance)]
    if not grown:
        return 0
    print(f"grew by more than {tolerance:g} %: {', '.join(grown)}", file=sys.stderr)
    return GREW


# ---- The command


def percent(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bench.micro.instructions",
        description="User instructions per operation, counted by valgrind's callgrind.",
        epilog=f"cases: {', '.join(names)}",
    )
    made.add_argument("cases", nargs="*", metavar="CASE", help="what to count (default: all)")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the counts there")
    made.add_argument("--compare", type=Path, metavar="FILE", help="show the change since FILE")
    made.add_argument(
        "--tolerance",
        type=percent,
        default=2.0,
        metavar="PERCENT",
        help="with --compare: a case may grow by this much (default 2)",
    )
    return made


def chosen(
    names: Sequence[str], cases: dict[str, Case], arguments: argparse.ArgumentParser
) -> list[Case]:
    unknown = [name for name in names if name not in cases]
    if unknown:
        arguments.error(f"unknown case {', '.join(unknown)}; there are {', '.join(cases)}")
    return [cases[name] for name in dict.fromkeys(names or cases)]


def main(argv: Sequence[str] | None = None) -> int:
    cases = all_cases()
    arguments = parser(list(cases))
    given = arguments.parse_args(argv)
    wanted = chosen(given.cases, cases, arguments)
    try:
        before = Baseline.read(given.compare) if given.compare else None
        if given.json and not given.json.parent.is_dir():
            raise NotADirectoryError(f"{given.json.parent} is no folder")
        valgrind()
        found = count_all(wanted, before)
        here = Circumstances.here()
        if given.json:
            Baseline(here, {change.case: change.now for change in found}).write(given.json)
    except (BadBaseline, CountingFailed, OSError) as error:
        print(f"instructions: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return verdict(found, before, here, given.tolerance) if before else 0


def end(_number: int, _frame: object) -> None:
    """SIGTERM: as an exception, which takes the running child down."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    sys.exit(main())
