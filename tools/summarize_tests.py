"""Add up the JUnit reports of all stages: one row a stage, every skip with its reason, one closing line.

`summarize_tests.py REPORT.xml ...` in the order of the stages; a stage's name is its file's name. Where there
is a REPORT-again.xml beside it, tests that had failed were run once more, and what that says of them counts.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stage:
    """The counts of one run of pytest."""

    name: str
    passed: int
    failed: int
    skipped: tuple[str, ...]
    seconds: float
    passed_again: tuple[str, ...] = ()
    """Failed beside others, and passed alone."""


def suite_of(path: Path) -> ET.Element:
    suite = ET.parse(path).getroot().find("testsuite")  # noqa: S314 - our own pytest wrote it
    if suite is None:
        raise SystemExit(f"{path}: not a JUnit report")
    return suite


def name_of(case: ET.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def failures(path: Path) -> dict[str, str]:
    """What each test that failed said; a test may fail twice, in its body and in its fixtures' ends."""
    found: dict[str, str] = {}
    for case in suite_of(path).iter("testcase") if path.exists() else ():
        for what in [*case.iter("failure"), *case.iter("error")]:
            said = f"{what.get('message', '')}\n{what.text or ''}"
            found[name_of(case)] = found.get(name_of(case), "") + said
    return found


def passes(path: Path) -> set[str]:
    """The tests that passed."""
    cases = suite_of(path).iter("testcase")
    others = ("failure", "error", "skipped")
    return {name_of(case) for case in cases if all(case.find(kind) is None for kind in others)}


def read(path: Path) -> Stage:
    """One report; errors (of fixtures, of collection) count as failed."""
    if not path.exists():
        # The interpreter itself went down; its last words are in the output above.
        return Stage(f"{path.stem} (did not finish)", 0, 1, (), 0.0)
    suite = suite_of(path)
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    reasons = tuple(skip.get("message", "") for skip in suite.iter("skipped"))
    passed = max(0, int(suite.get("tests", 0)) - failed - len(reasons))
    seconds = float(suite.get("time", 0))
    again = path.with_name(f"{path.stem}-again.xml")
    if not again.exists():
        return Stage(path.stem, passed, failed, reasons, seconds)
    at_first = failures(path)
    mended = tuple(sorted(at_first.keys() & passes(again)))
    left = len(at_first) - len(mended)
    return Stage(path.stem, passed + len(mended), left, reasons, seconds, mended)


def main(paths: list[Path]) -> int:
    """Print the summary; status 1 when anything failed or nothing ran."""
    stages = [read(path) for path in paths]
    width = max((len(stage.name) for stage in stages), default=0)
    for stage in stages:
        counts = f"{stage.passed:5} passed {stage.failed:4} failed {len(stage.skipped):4} skipped"
        print(f"{stage.name:{width}} {counts} {stage.seconds:7.1f} s")
    for reason, count in Counter(r for stage in stages for r in stage.skipped).most_common():
        print(f"  skipped {count}x: {reason}")
    for stage in stages:
        for name in stage.passed_again:
            print(f"  {stage.name}: failed, and passed when run alone: {name}")
    passed = sum(stage.passed for stage in stages)
    failed = sum(stage.failed for stage in stages)
    skipped = sum(len(stage.skipped) for stage in stages)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
