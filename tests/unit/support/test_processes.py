"""Starting, awaiting and ending child processes."""

import sys
from pathlib import Path

import pytest

from tests.support.processes import Child, assert_gone

_SERVES = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0))
print("listening on", listening.getsockname()[1])
listening.accept()
listening.accept()
"""

_HAS_CHILD = """
import subprocess, sys
inner = subprocess.Popen([sys.executable, "-c", "import time; print('inner'); time.sleep(60)"])
inner.wait()
"""


def python(source: str, folder: Path) -> Child:
    return Child.start([sys.executable, "-c", source], log=folder / "child.log")


def test_a_line_and_a_port_can_be_awaited(tmp_path: Path) -> None:
    with python(_SERVES, tmp_path) as child:
        port = int(child.wait_for_line(r"listening on (\d+)").group(1))
        child.wait_for_port(("127.0.0.1", port))
    assert_gone(child.pid)


def test_an_early_end_is_reported_with_the_output(tmp_path: Path) -> None:
    with (
        python("print('no luck')", tmp_path) as child,
        pytest.raises(AssertionError, match="no luck"),
    ):
        child.wait_for_line("listening")


def test_terminate_gives_the_exit_status(tmp_path: Path) -> None:
    with python(_SERVES, tmp_path) as child:
        child.wait_for_line("listening")
        assert child.terminate() == -15


def test_leaving_the_block_ends_grandchildren_too(tmp_path: Path) -> None:
    with python(_HAS_CHILD, tmp_path) as child:
        child.wait_for_line("inner")
        pids = [member.pid for member in child.family()]
        assert len(pids) == 2
    assert_gone(*pids)


def test_a_child_that_runs_on_fails_the_wait(tmp_path: Path) -> None:
    with (
        python(_SERVES, tmp_path) as child,
        pytest.raises(AssertionError, match="still running"),
    ):
        child.wait(deadline_s=0.05)
