"""State, lock, and what is left of a mesh that died."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.state import owned, state_dir
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir
from linkerd2_py.controlplane.local.supervise import launcher
from tests.support.privileges import NOBODY, as_nobody, need_root

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


def test_a_state_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    directory: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.write(STATE)
    names = sorted(directory.root.iterdir())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state_dir.json, "dump", full)
    with pytest.raises(OSError, match="No space left"):
        directory.write(dataclasses.replace(STATE, pid=2))
    assert directory.read() == STATE
    assert sorted(directory.root.iterdir()) == names


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
    owned.make(directory.identity)
    (directory.identity / "web-0").mkdir()
    (directory.identity / "web-0" / "token").touch()
    directory.log_of("web-0").touch()
    for _ in range(2):
        directory.remove_all()
        assert list(directory.root.iterdir()) == [directory.logs]
    assert directory.log_of("web-0").exists()


HOLD = (
    "import sys; from pathlib import Path;"
    "from linkerd2_py.controlplane.local.state.state_dir import StateDir, try_lock;"
    "lock = try_lock(StateDir(Path(sys.argv[1]))); print('held', flush=True); input()"
)


@contextlib.contextmanager
def held_by_another(directory: StateDir) -> Iterator[int]:
    """The lock is another process's in the block, whose number this is."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.communicate("\n")


def test_state_of_a_running_mesh_is_live_and_its_holder_known(directory: StateDir) -> None:
    directory.write(STATE)
    with held_by_another(directory) as pid:
        assert state_dir.holder(directory) == pid
        assert state_dir.try_lock(directory) is None
        assert directory.live() == STATE
    assert state_dir.holder(directory) is None


def test_of_another_process_namespace_a_mesh_is_seen_and_never_signalled(
    directory: StateDir,
) -> None:
    """The kernel has no number for its supervisor there; 0 would mean everybody in our own process group."""
    need_root()
    directory.write(STATE)
    script = (
        "import sys; from pathlib import Path; from linkerd2_py.controlplane.local.supervise import launcher;"
        "from linkerd2_py.controlplane.local.state.state_dir import StateDir, holder;"
        "d = StateDir(Path(sys.argv[1])); print(holder(d), d.live() is not None, flush=True);"
        "launcher.stop_mesh(d)"
    )
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    with held_by_another(directory):
        done = subprocess.run(
            [*inside, str(directory.root)],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
    assert done.stdout == "0 True\n"
    assert "runs in another process namespace (a container?): stop it from there" in done.stderr
    assert done.returncode == 1


def test_a_number_that_another_process_has_got_is_not_signalled(directory: StateDir) -> None:
    """What held the lock has ended by the time its number is looked up."""
    directory.write(STATE)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        launcher._send(signal.SIGTERM, to=bystander.pid, directory=directory)
        with pytest.raises(subprocess.TimeoutExpired):
            bystander.wait(0.2)
        bystander.kill()


def test_what_a_person_keeps_in_the_directory_stays(tmp_path: Path) -> None:
    """A folder that is called as one of ours, and files that are."""
    directory = StateDir(tmp_path)
    directory.identity.mkdir()
    kept = [directory.identity / "issuer.key", directory.state_file]
    for path in kept:
        path.write_text("{}")
    directory.remove_all()
    assert launcher.stop_mesh(directory) is False
    assert directory.live() is None
    assert [path.read_text() for path in kept] == ["{}", "{}"]
    with pytest.raises(StateError, match="identity was not made by a local mesh: move it away"):
        directory.create()
    kept[0].unlink()
    with pytest.raises(StateError, match=r"state\.json is not a local mesh's: move it away"):
        directory.create()


def test_logs_of_somebody_elses_are_not_taken_for_ours(tmp_path: Path) -> None:
    directory = StateDir(tmp_path)
    directory.logs.mkdir()
    (directory.logs / "web-0.log").touch()
    with pytest.raises(StateError, match="logs was not made by a local mesh: move it away, or"):
        directory.create()
    directory.log_of("control-plane").touch()
    directory.create()


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    StateDir(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o707])
def test_a_directory_that_others_write_in_is_refused_and_left_alone(
    tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StateError, match=r"others may write in .*LINKERD2_PY_STATE_DIR"):
        StateDir(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == []


def test_root_refuses_a_directory_of_another_user(tmp_path: Path) -> None:
    need_root()
    os.chown(tmp_path, NOBODY, NOBODY)
    directory = StateDir(tmp_path)
    for use in (directory.create, directory.live, lambda: launcher.stop_mesh(directory)):
        with pytest.raises(StateError, match=rf"{tmp_path} belongs to .*uid {NOBODY}"):
            use()
    with pytest.raises(StateError, match="belongs to"):
        StateDir(tmp_path / "below").create()


def test_a_user_keeps_no_mesh_in_a_directory_of_root_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but root can change the way there, and yet it is not this user's."""
    need_root()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    owned.check_way(tmp_path)
    with pytest.raises(StateError, match=rf"{tmp_path} belongs to root"):
        StateDir(tmp_path).create()


def test_nobody_but_its_owner_can_hold_the_lock_of_the_machines_mesh(system: StateDir) -> None:
    need_root()
    system.create()
    lock = state_dir.try_lock(system)
    assert lock is not None
    lock.release()
    done = as_nobody("cat", str(system.lock_file))
    assert "Permission denied" in done.stderr


def test_others_know_the_machines_mesh_by_what_it_says(
    system: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not touch its lock; a later process of the same number is not the mesh."""
    system.create()
    own = os.getpid()
    started = state_dir.started_at(own)
    assert started is not None
    owner = os.geteuid()
    for pid, said, expected in (
        (own, started, own),
        (own, started + 1, None),
        (0, started, None),
        (-1, started, None),
    ):
        system.write(dataclasses.replace(STATE, pid=pid, pid_started=said))
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        assert state_dir.holder(system) == expected
        monkeypatch.setattr(os, "geteuid", lambda: owner)


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
    with pytest.raises(StateError, match="file/state: Not a directory"):
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
        ({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/linkerd2-py"),
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
    for path, mode in ((system.root, 0o755), (system.state_file, 0o644), (system.lock_file, 0o600)):
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


def test_who_has_no_home_finds_the_machines_mesh_or_hears_what_to_do(
    system: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(
        StateError, match=r"no home folder: choose one with \$LINKERD2_PY_STATE_DIR"
    ):
        state_dir.default_state_dir()
    system.create()
    system.write(STATE)
    assert state_dir.default_state_dir() == system


def test_an_explicit_place_is_the_only_one(
    system: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.create()
    system.write(STATE)
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path / "mine"))
    assert state_dir.default_state_dir() == StateDir(tmp_path / "mine")
    assert state_dir.transparent_state_dir() == StateDir(tmp_path / "mine")
