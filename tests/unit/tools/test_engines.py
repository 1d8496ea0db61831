"""Copies of the package with an engine of another flavour."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import assert_gone
from tests.support.wait import eventually
from tools import engines
from tools.engines import building, compiling_beside, forget_removed

pytestmark = pytest.mark.release_only

ROOT = Path(__file__).parents[3]
# Tells its compilers' numbers, as one that has much to do.
BUILDS = """
import os, subprocess, sys, time
from pathlib import Path
compiler = subprocess.Popen(["sleep", "infinity"]) if not Path("quick").exists() else None
Path("started").write_text(f"{os.getpid()} {compiler.pid if compiler else 0}")
sys.exit(compiler.wait() if compiler else Path("broken").exists())
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose setup.py is ours to steer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(engines, "ENVIRONMENT", {"unmetered": {}})
    (tmp_path / "setup.py").write_text(BUILDS)
    return tmp_path


def test_modules_that_are_gone_do_not_live_on_in_a_copy(tmp_path: Path, project: Path) -> None:
    source, copy = tmp_path / "src/linkerd2_py", tmp_path / "build/debug/linkerd2_py"
    for folder in (source, copy):
        folder.mkdir(parents=True)
    (source / "kept.pyx").touch()
    for name in (
        "engine.cpython-311.so",
        "kept.cpython-311.so",
        "renamed.cpython-311.so",
        "shell.py",
    ):
        (copy / name).touch()
    forget_removed(Path("build/debug"))
    kept = sorted(path.name for path in copy.iterdir())
    assert kept == ["engine.cpython-311.so", "kept.cpython-311.so"]


def test_what_is_compiled_beside_is_told_when_it_is_waited_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "quick").touch()
    with compiling_beside("unmetered") as wait:
        eventually((project / "started").exists)
        assert not capsys.readouterr().out
        wait()
    assert capsys.readouterr().out.startswith("√ engine without metrics (")


def test_a_build_that_failed_ends_the_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("quick", "broken"):
        (project / name).touch()
    with pytest.raises(SystemExit) as ended, compiling_beside("unmetered") as wait:
        wait()
    assert ended.value.code == 1
    assert "× engine without metrics; the end of" in capsys.readouterr().out


def test_who_does_not_wait_ends_the_build_and_its_compilers(project: Path) -> None:
    started = project / "started"
    with compiling_beside("unmetered"):
        eventually(lambda: started.exists() and len(started.read_text().split()) == 2)
    assert_gone(*map(int, started.read_text().split()))


def test_two_builds_take_turns(project: Path) -> None:
    look = "import tools.engines as e, os\nwith e.building(): os.write(1, b'mine')"
    with building():
        other = subprocess.Popen([sys.executable, "-c", look], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
    assert other.communicate()[0] == b"mine"
