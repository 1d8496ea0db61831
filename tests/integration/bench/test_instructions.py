"""Counting one small case for real, under valgrind."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Child, assert_gone
from tests.support.wait import eventually, patience

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]
CASE = "detect-http2"
DEADLINE_S = 80


def instructions(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "bench.micro.instructions", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * patience(),
    )


def instructions_in(file: Path) -> float:
    count: float = json.loads(file.read_text())["instructions"][CASE]
    return count


def test_counting_twice_gives_the_same_and_growth_is_told(tmp_path: Path) -> None:
    first, halved, second = (tmp_path / name for name in ("first", "halved", "second"))
    counted = instructions(CASE, "--json", first)
    assert counted.returncode == 0, counted.stderr
    assert CASE in counted.stdout

    baseline = json.loads(first.read_text())
    baseline["instructions"][CASE] /= 2
    halved.write_text(json.dumps(baseline))
    grown = instructions(CASE, "--compare", halved, "--json", second)
    assert grown.returncode == 1
    assert grown.stderr == f"grew by more than 2 %: {CASE}\n"
    assert instructions_in(second) == pytest.approx(instructions_in(first), rel=0.01)


def test_the_end_of_the_command_is_that_of_its_child(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.micro.instructions", CASE]
    with Child.start(argv, log=tmp_path / "log") as child:
        eventually(
            lambda: any(member.name().startswith("callgrind") for member in child.family()),
            what="a child under callgrind",
        )
        pids = [member.pid for member in child.family()]
        assert child.terminate() == 130
        assert_gone(*pids)
