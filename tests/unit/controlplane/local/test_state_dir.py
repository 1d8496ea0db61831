"""State, lock, and what is left of a mesh that died."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local import state_dir
from linkerd2_py.controlplane.local.state_dir import State, StateDir, StateError

STATE = State(
    version="1",
    pid=1,
    public_api="http://127.0.0.1:1",
    proxy_api="127.0.0.1:2",
    mesh_file="/m.yaml",
    namespace="emojivoto",
    started=1.5,
    links={"web-svc": "http://127.0.0.1:3/"},
)


@pytest.fixture
def directory(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "deep" / "state")
    made.create()
    return made


def test_state_is_read_back_as_written(directory: StateDir) -> None:
    directory.write(STATE)
    assert directory.read() == STATE


def test_directory_is_for_its_owner_only(directory: StateDir) -> None:
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1', "null"])
def test_a_state_that_is_not_ours_is_no_state(directory: StateDir, text: str) -> None:
    directory.state_file.write_text(text)
    assert directory.read() is None


def test_state_of_a_dead_mesh_is_removed(directory: StateDir) -> None:
    directory.write(STATE)
    assert directory.live() is None
    assert not directory.state_file.exists()


def test_of_a_mesh_that_has_ended_only_logs_stay(directory: StateDir) -> None:
    directory.write(STATE)
    (directory.identity / "web-0").mkdir(parents=True)
    (directory.identity / "web-0" / "token").touch()
    directory.log_of("web-0").touch()
    for _ in range(2):
        directory.remove_all()
        assert list(directory.root.iterdir()) == [directory.logs]
    assert directory.log_of("web-0").exists()


def test_state_of_a_running_mesh_is_live_and_its_holder_known(directory: StateDir) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from linkerd2_py.controlplane.local.state_dir import StateDir, try_lock;"
        "lock = try_lock(StateDir(Path(sys.argv[1]))); print('held', flush=True); input()"
    )
    directory.write(STATE)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(directory.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert state_dir.running_pid(directory) == holder.pid
        assert state_dir.try_lock(directory) is None
        assert directory.live() == STATE
        holder.communicate("\n")
    assert state_dir.running_pid(directory) is None


def test_lock_may_be_released_twice(directory: StateDir) -> None:
    lock = state_dir.try_lock(directory)
    assert lock is not None
    lock.release()
    lock.release()
    again = state_dir.try_lock(directory)
    assert again is not None
    again.release()


def test_a_path_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be created"):
        StateDir(tmp_path / "file" / "state").create()


def test_lock_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file"):
        state_dir.try_lock(StateDir(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"LINKERD2_PY_STATE_DIR": "/a"}, "/a"),
        ({"XDG_STATE_HOME": "/x"}, "/x/linkerd2-py"),
        ({"HOME": "/h"}, "/h/.local/state/linkerd2-py"),
    ],
)
def test_default_place(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], expected: str) -> None:
    for name in ("LINKERD2_PY_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(state_dir, "SYSTEM_STATE_DIR", Path("/nowhere"))
    assert str(state_dir.default_state_dir().root) == expected


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    """A state directory for the whole machine, and a user without a mesh of their own."""
    for name in ("LINKERD2_PY_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(state_dir, "SYSTEM_STATE_DIR", tmp_path / "run")
    return state_dir.transparent_state_dir()


def test_a_mesh_of_the_machine_is_found_by_everybody(system: StateDir) -> None:
    assert state_dir.default_state_dir().root != system.root
    system.create()
    system.write(STATE)
    assert state_dir.default_state_dir() == system
    lock = state_dir.try_lock(system)
    assert lock is not None
    lock.release()
    for path, mode in ((system.root, 0o755), (system.state_file, 0o644), (system.lock_file, 0o644)):
        assert path.stat().st_mode & 0o777 == mode
    # What programs wrote is nobody else's business.
    assert system.logs.stat().st_mode & 0o777 == 0o700


def test_a_new_mesh_never_goes_into_the_machines_directory(system: StateDir) -> None:
    system.create()
    system.write(STATE)
    own = state_dir.own_state_dir()
    assert own.root != system.root
    assert not own.public


def test_a_users_own_mesh_comes_first(system: StateDir) -> None:
    system.create()
    system.write(STATE)
    own = StateDir(Path(os.environ["HOME"]) / ".local" / "state" / "linkerd2-py")
    own.create()
    own.write(STATE)
    assert state_dir.default_state_dir() == own
    for path, mode in ((own.root, 0o700), (own.state_file, 0o600)):
        assert path.stat().st_mode & 0o777 == mode


def test_an_explicit_place_is_the_only_one(
    system: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.create()
    system.write(STATE)
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path / "mine"))
    assert state_dir.default_state_dir() == StateDir(tmp_path / "mine")
    assert state_dir.transparent_state_dir() == StateDir(tmp_path / "mine")
