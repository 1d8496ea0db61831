"""The front door on a machine that lacks things, and its answers to wrong words."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

pytestmark = pytest.mark.release_only

MESH = Path(__file__).parents[3] / "mesh"
TOOLS = ("cat", "date", "dirname", "grep", "head", "mkdir", "sh", "sort", "tail", "tr")


def mesh(
    *words: str, script: Path = MESH, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(
        ["/bin/sh", script, *words], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH of an ordinary user without compiler, interpreter or sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    identity = folder / "id"
    identity.write_text("#!/bin/sh\necho 1000\n")
    identity.chmod(0o755)
    return str(folder)


def test_help_names_every_command() -> None:
    done = mesh("help")
    assert done.returncode == 0
    words = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert {"up", "down", "build", "check", "bench", "test", "help"} <= set(words)


@pytest.mark.parametrize("words", [("fly",), ("build", "--fast")])
def test_a_wrong_word_is_named_and_fails(words: tuple[str, ...]) -> None:
    done = mesh(*words)
    assert done.returncode == 1
    assert f"unknown {'command: fly' if words == ('fly',) else 'option --fast'}" in done.stderr


def test_without_root_the_missing_packages_are_named_exactly(
    tmp_path: Path, bare_path: str
) -> None:
    script = shutil.copy(MESH, tmp_path / "mesh")
    done = mesh("build", script=Path(script), path=bare_path)
    assert done.returncode == 1
    missing, install = done.stderr.splitlines()
    assert missing.startswith("× missing Debian packages: gcc libc6-dev libnghttp2-dev libssl-dev")
    assert "nginx" not in missing  # needed by tests and benchmarks only
    assert install.strip().startswith("as root: apt-get install --no-install-recommends gcc")


def test_the_benchmarks_peers_are_named_too(tmp_path: Path, bare_path: str) -> None:
    script = shutil.copy(MESH, tmp_path / "mesh")
    done = mesh("bench", "--quick", script=Path(script), path=bare_path)
    assert done.returncode == 1
    missing = done.stderr.splitlines()[0].split()
    # Of the others, servers, an administrator's folders are searched too: they may be there.
    assert {"gcc", "libnghttp2-dev", "nghttp2-client", "valgrind", "wrk"} <= set(missing)


STEP = """
mkdir -p "$LOGS"
slow() {
    echo '[ 3/12] Cythonizing src/a.pyx[ 4/12] Cythonizing src/b.pyx'
    until [ -e translated ]; do sleep 0.02; done
    echo 'compiled 7 of 12 modules: a'
    until [ -e compiled ]; do sleep 0.02; done
    [ ! -e fails ]
}
step engine slow
"""


@pytest.fixture
def slow_step(tmp_path: Path) -> Path:
    """The front door with one step that waits for files."""
    script = tmp_path / "mesh"
    script.write_text(MESH.read_text().partition("\ncase ${1:-help} in")[0] + STEP)
    return script


@pytest.mark.parametrize("fails", [False, True])
def test_a_terminal_sees_how_far_a_build_is(slow_step: Path, fails: bool) -> None:
    folder = slow_step.parent
    child = pexpect.spawn("/bin/sh", [str(slow_step)], encoding="utf-8", timeout=30)
    child.expect_exact("… engine: 4 of 12 modules translated (build/log/engine.log)")
    (folder / "translated").touch()
    child.expect_exact("… engine: 7 of 12 modules compiled (build/log/engine.log)")
    if fails:
        (folder / "fails").touch()
    (folder / "compiled").touch()
    child.expect(r"×.* engine; the end of .*/engine.log" if fails else r"√.* engine \([0-9]+ s\)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == int(fails)
    assert "compiled 7 of 12" in (folder / "build" / "log" / "engine.log").read_text()


def test_ctrl_c_ends_a_step_and_who_watches_it(slow_step: Path) -> None:
    child = pexpect.spawn("/bin/sh", [str(slow_step)], encoding="utf-8", timeout=30)
    child.expect_exact("4 of 12 modules")
    child.sendintr()
    # The terminal is closed by the last that has it open.
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGINT or child.exitstatus == 130


def test_a_pipe_sees_the_tick_alone(slow_step: Path) -> None:
    for name in ("translated", "compiled"):
        (slow_step.parent / name).touch()
    done = mesh(script=slow_step)
    assert re.fullmatch(r"√ engine \([0-9]+ s\)\n", done.stdout)
