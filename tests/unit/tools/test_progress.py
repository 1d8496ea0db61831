"""What a person sees of a step, on a terminal and in a pipe."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tools.progress import modules_in

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]
STEP = """
from tools.progress import Command, step
step("debug engine", Command(["sh", "-c", '''
    echo "[ 3/12] Cythonizing src/a.pyx[ 4/12] Cythonizing src/b.pyx"
    until [ -e translated ]; do sleep 0.02; done
    echo "compiled 7 of 12 modules: a"
    until [ -e compiled ]; do sleep 0.02; done
    [ ! -e fails ]
''']), Command(["echo", "the second"]))
"""
WORDS = ["-c", STEP]
ENV = {"PYTHONPATH": str(ROOT)}
LOG = Path("build/log/debug-engine.log")


@pytest.mark.parametrize("fails", [False, True])
def test_a_terminal_sees_how_far_a_build_is(tmp_path: Path, fails: bool) -> None:
    child = pexpect.spawn(sys.executable, WORDS, cwd=tmp_path, env=ENV, encoding="utf-8")
    child.expect_exact(f"… debug engine: 4 of 12 modules translated ({LOG})")
    (tmp_path / "translated").touch()
    child.expect_exact(f"… debug engine: 7 of 12 modules compiled ({LOG})")
    if fails:
        (tmp_path / "fails").touch()
    (tmp_path / "compiled").touch()
    if fails:
        child.expect(rf"×.* debug engine; the end of {tmp_path / LOG}:\s+\[ 3/12\]")
    else:
        child.expect(r"√.* debug engine \([0-9]+ s\)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == int(fails)
    # What comes after a command that failed does not run.
    assert ("the second" in (tmp_path / LOG).read_text()) is not fails


def test_ctrl_c_ends_a_step(tmp_path: Path) -> None:
    child = pexpect.spawn(sys.executable, WORDS, cwd=tmp_path, env=ENV, encoding="utf-8")
    child.expect_exact("4 of 12 modules")
    child.sendintr()
    # The terminal is closed by the last that has it open.
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGINT


def test_a_pipe_sees_the_tick_alone(tmp_path: Path) -> None:
    for name in ("translated", "compiled"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [sys.executable, *WORDS], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"√ debug engine \([0-9]+ s\)\n", done.stdout)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", ""),
        ("nothing to do\n", ""),
        (
            "[ 9/12] Cythonizing a\n[10/12] Cythonizing b\nwarning\n",
            ": 10 of 12 modules translated",
        ),
        ("[12/12] Cythonizing a\ncompiled 1 of 12 modules: a\n", ": 1 of 12 modules compiled"),
    ],
)
def test_the_newest_words_of_a_build_tell_how_far_it_is(
    tmp_path: Path, written: str, told: str
) -> None:
    log = tmp_path / "log"
    log.write_text(written)
    assert modules_in(log) == told
