"""Children run where they are told to, are heard, and end: in every way that the harness may end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.children import Children
from bench.errors import BenchError
from tests.support.processes import assert_gone
from tests.support.wait import patience

ROOT = Path(__file__).parents[3]
CORE = min(os.sched_getaffinity(0))
# Starts a process of its own, says which, and ignores the polite request to end.
STUBBORN = "trap '' TERM\nsleep 1000 &\necho $!\nwait\nwhile :; do sleep 1000; done\n"


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    with Children(tmp_path) as found:
        yield found


def python(words: str) -> list[str]:
    return [sys.executable, "-c", words]


def test_a_child_runs_on_its_processor_alone(children: Children) -> None:
    child = children.start("c", python("import os; print(os.sched_getaffinity(0))"), core=CORE)
    assert child.next_line() == str({CORE})


def test_lines_are_read_one_by_one_and_to_the_end(children: Children) -> None:
    child = children.start("c", python("print('a\\nb\\nc')"), core=CORE)
    assert child.next_line() == "a"
    assert child.remaining_lines() == ["b", "c"]


def test_a_child_that_yields_is_nice(children: Children) -> None:
    words = python("import os; print(os.nice(0))")
    assert children.start("c", words, core=CORE, yields=True).next_line() == "19"
    assert children.start("c", words, core=CORE).next_line() != "19"


INTERRUPTED_IN_FORK = """
import os, signal, sys
from pathlib import Path
from bench.children import Children

os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
with Children(Path(sys.argv[1])) as children:
    children.start("c", ["sleep", "1000"], core=int(sys.argv[2]))
    print("the interrupt was lost")
"""


def test_an_interrupt_while_a_child_is_made_is_not_lost(tmp_path: Path) -> None:
    """What Python runs after a fork swallows exceptions, those of signals too."""
    done = subprocess.run(
        [*python(INTERRUPTED_IN_FORK), tmp_path, str(CORE)],
        capture_output=True,
        text=True,
        timeout=30 * patience(),
        check=False,
        cwd=ROOT,
    )
    assert "the interrupt was lost" not in done.stdout
    assert done.stderr.strip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in done.stderr


def test_a_child_hears_every_signal(children: Children) -> None:
    words = python("import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))")
    assert children.start("c", words, core=CORE).next_line() == "set()"


def test_a_child_that_says_nothing_is_not_waited_for_forever(children: Children) -> None:
    child = children.start("mute", ["sleep", "1000"], core=CORE)
    with pytest.raises(BenchError, match="mute did not answer in time"):
        child.next_line(deadline_s=0.05)


def test_the_complaint_has_the_childs_last_words(children: Children) -> None:
    words = python("import sys; sys.exit('the port is taken')")
    child = children.start("c", words, core=CORE)
    with pytest.raises(BenchError, match="c ended without an answer: the port is taken"):
        child.next_line()
    with pytest.raises(BenchError, match="status 1: the port is taken"):
        children.start("c", words, core=CORE).remaining_lines()


def test_a_port_that_never_opens_is_noticed_when_the_child_ends(children: Children) -> None:
    child = children.start("c", python("raise SystemExit(3)"), core=CORE)
    with pytest.raises(BenchError, match="did not listen at"):
        child.wait_for_port("127.0.0.1:1")


def test_how_a_child_ended_is_named(children: Children) -> None:
    words = "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)"
    assert children.start("c", python(words), core=CORE).status() == "SIGUSR1"
    assert children.start("c", python("raise SystemExit(3)"), core=CORE).status() == "status 3"


def test_a_program_that_does_not_exist_is_named(children: Children) -> None:
    with pytest.raises(BenchError, match="cannot start /nowhere/program"):
        children.start("c", ["/nowhere/program"], core=CORE)


def test_leaving_the_block_ends_children_and_theirs(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child = children.start("stubborn", ["sh", "-c", STUBBORN], core=CORE)
        grandchild = int(child.next_line())
        assert psutil.pid_exists(grandchild)
    assert_gone(child.pid, grandchild)


def test_even_a_killed_harness_leaves_no_child(tmp_path: Path) -> None:
    words = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from bench.children import Children\n"
        "child = Children(Path(sys.argv[1])).start('c', ['sleep', '1000'], core=int(sys.argv[2]))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    harness = subprocess.Popen(
        [sys.executable, "-c", words, str(tmp_path), str(CORE)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        harness.send_signal(signal.SIGKILL)
    assert_gone(pid)
