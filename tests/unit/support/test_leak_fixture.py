"""The leak fixture sees what a test leaves behind: tried on a small suite in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

CONFTEST = """
import tests.conftest
from tests.conftest import no_leaks

tests.conftest.SETTLE_S = 0.05
"""

SUITE = """
import os
import socket

import pytest
from linkerd2_py._ext.core import debug

kept = []
alive = {"buffer": 1, "timer": 2}
debug.counts = lambda: dict(alive)

class Knot:
    def __init__(self):
        self.itself, self.ends = self, socket.socketpair()
    def __del__(self):
        for end in self.ends: end.close()

def test_socket(): kept.append(socket.socket())
def test_listener(): kept.append(socket.create_server(("127.0.0.1", 0)))
def test_pipe(): kept.append(os.pipe())
def test_object(): alive["buffer"] += 3
def test_innocent(): socket.socket().close()
def test_freed(): alive["timer"] -= 1
def test_collected(): Knot()
@pytest.mark.keeps_open("wanted")
def test_marked(): kept.append(socket.socket())
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says about the suite with our fixture in force."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = keeps_open(reason): x\n")
    (folder / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("name", ["socket", "listener", "pipe"])
def test_a_descriptor_left_open_fails_the_test_that_left_it(output: str, name: str) -> None:
    assert (
        f"ERROR test_suite.py::test_{name} - Failed: left behind: engine objects {{}}, " in output
    )


def test_an_engine_object_left_alive_fails_the_test(output: str) -> None:
    assert "ERROR test_suite.py::test_object - Failed: left behind: engine objects" in output
    assert "engine objects {'buffer': 3}, descriptors {}" in output


@pytest.mark.parametrize("name", ["innocent", "freed", "collected", "marked"])
def test_others_are_left_in_peace(output: str, name: str) -> None:
    assert f"test_{name}" not in output
    assert "8 passed, 4 errors" in output
