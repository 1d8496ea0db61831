"""The closing summary counts failures, errors and skips of every stage."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.release_only

TOOL = Path(__file__).parents[3] / "tools/summarize_tests.py"


def summary(*reports: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, *reports], capture_output=True, text=True, check=False
    )


def report(folder: Path, name: str, counts: str, cases: str = "") -> Path:
    path = folder / f"{name}.xml"
    path.write_text(f'<testsuites><testsuite {counts} time="1.5">{cases}</testsuite></testsuites>')
    return path


def test_skips_are_counted_and_explained(tmp_path: Path) -> None:
    skip = '<testcase><skipped message="no IPv6 here"/></testcase>'
    first = report(tmp_path, "release", 'tests="3" failures="0" errors="0"', skip)
    second = report(tmp_path, "debug", 'tests="2" failures="0" errors="0"')
    done = summary(first, second)
    assert done.returncode == 0
    assert "skipped 1x: no IPv6 here" in done.stdout
    assert done.stdout.splitlines()[-1] == "4 passed, 0 failed, 1 skipped"


def test_failures_and_errors_fail_the_run(tmp_path: Path) -> None:
    done = summary(report(tmp_path, "release", 'tests="5" failures="1" errors="1"'))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "3 passed, 2 failed, 0 skipped"


def test_a_run_without_tests_is_no_success(tmp_path: Path) -> None:
    assert summary(report(tmp_path, "release", 'tests="0"')).returncode == 1


def test_something_else_than_a_report_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_text("<other/>")
    done = summary(path)
    assert done.returncode == 1
    assert f"{path}: not a JUnit report" in done.stderr


def test_a_stage_that_left_no_report_has_failed(tmp_path: Path) -> None:
    done = summary(tmp_path / "debug.xml")
    assert done.returncode == 1
    assert "debug (did not finish)" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


FAILED = '<testcase classname="a.test_b" name="test_{}"><failure message="busy"/></testcase>'
PASSED = '<testcase classname="a.test_b" name="test_{}"/>'


def test_what_passes_when_it_is_run_alone_is_named(tmp_path: Path) -> None:
    first = report(tmp_path, "debug", 'tests="3" failures="1" errors="0"', FAILED.format("c"))
    report(tmp_path, "debug-again", 'tests="1" failures="0" errors="0"', PASSED.format("c"))
    done = summary(first)
    assert done.returncode == 0
    assert "debug: failed, and passed when run alone: a.test_b::test_c" in done.stdout
    assert done.stdout.splitlines()[-1] == "3 passed, 0 failed, 0 skipped"


def test_what_fails_again_or_does_not_run_again_has_failed(tmp_path: Path) -> None:
    both = "".join(FAILED.format(name) for name in ("c", "d", "e"))
    first = report(tmp_path, "debug", 'tests="4" failures="3" errors="0"', both)
    again = FAILED.format("c") + PASSED.format("d")
    report(tmp_path, "debug-again", 'tests="2" failures="1" errors="0"', again)
    done = summary(first)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "2 passed, 2 failed, 0 skipped"
