"""Where a local mesh keeps its files, and what it tells the command line: state.json, lock, logs.

The supervisor holds the lock for as long as it lives, so a free lock beside a state.json means
that the mesh died; whoever finds that removes the state. A mesh that root runs keeps its state where
every user of the machine finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any, Final

from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.owned import StateError

STATE_DIR_VARIABLE: Final = "LINKERD2_PY_STATE_DIR"
SYSTEM_STATE_DIR: Final = Path("/run/linkerd2-py")
_FOR_ALL: Final = 0o755
_CONTROL_PLANE: Final = "control-plane"
_TOKEN_BYTES: Final = 32
_FLOCK: Final = "hhqqi"
"""struct flock of fcntl(2): type, whence, start, length, process id."""
UNSEEN: Final = 0
"""In place of the number of a process that lives in a process namespace we do not see into."""


@dataclass(frozen=True, slots=True)
class State:
    """What a running mesh says of itself; addresses are `host:port` unless they are URLs.

    `network` is the label of a transparent mesh's namespaces. `pid_started` tells the supervisor from a
    later process of the same number (clock ticks since the machine's start). `prometheus` is the URL of the
    one that has the samples, where there is one.
    """

    version: str
    pid: int
    public_api: str
    proxy_api: str
    mesh_file: str
    namespace: str
    started: float
    pid_started: int = 0
    network: str = ""
    dashboard: str = ""
    prometheus: str = ""
    links: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths below one state directory."""

    root: Path

    @property
    def public(self) -> bool:
        """Whether everybody may ask how the mesh is: it is the whole machine's."""
        return self.root == SYSTEM_STATE_DIR

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def etc(self) -> Path:
        """What pods find in /etc, where they have one of their own: a folder for each namespace."""
        return self.root / "etc"

    @property
    def identity(self) -> Path:
        """What proxies prove with who they are: a folder for each pod, which no mesh leaves behind."""
        return self.root / "identity"

    @property
    def prometheus(self) -> Path:
        """What a Prometheus is told to scrape, and what one of our own has kept, which stays."""
        return self.root / "prometheus"

    @property
    def tap_token(self) -> Path:
        """What whoever watches the traffic of the mesh shows: its own user's alone."""
        return self.root / "tap-token"

    def new_tap_token(self) -> str:
        """Another one than any before. StateError, OSError."""
        token = token_hex(_TOKEN_BYTES)
        fd = owned.open_file(self.tap_token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o600)
            file.write(token)
        return token

    def log_of(self, name: str) -> Path:
        """The log of a pod, of `<pod>-proxy`, or of `control-plane`."""
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Make the directories, or find them as this user's own; only their owner reads logs. StateError
        if that is refused.
        """
        try:
            owned.make_way(self.root)
            with contextlib.suppress(FileExistsError):
                self.root.mkdir(mode=owned.OWNER_ONLY)
                self.root.chmod(_FOR_ALL if self.public else owned.OWNER_ONLY)
            owned.check_own(self.root)
            owned.make(self.logs, known_by=self.log_of(_CONTROL_PLANE).name)
            # Made later: who has something there is to hear of it before anything is started.
            for folder in (self.identity, self.etc, self.prometheus):
                owned.check_free(folder)
        except OSError as error:
            raise StateError(f"{self.root}: cannot be created: {error.strerror}") from error
        if self.state_file.exists() and not self._has_state:
            raise StateError(f"{self.state_file} is not a local mesh's: move it away")

    def check(self) -> None:
        """StateError if somebody else than root and this user could have written what is here."""
        owned.check_way(self.root)

    def write(self, state: State) -> None:
        """Replace state.json in one step: a reader sees the old one or the new one. OSError leaves the
        old one, and nothing else.
        """
        fields = asdict(state) | {"links": dict(state.links)}
        handle, name = tempfile.mkstemp(dir=self.root, prefix=".state-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(fields, file, indent=2)
                os.fchmod(file.fileno(), self._file_mode)
            Path(name).replace(self.state_file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    @property
    def _file_mode(self) -> int:
        return 0o644 if self.public else 0o600

    def read(self) -> State | None:
        """What state.json says, or None if there is none or it is not ours."""
        fields = self._fields()
        try:
            return State(**{name: fields[name] for name in State.__dataclass_fields__})
        except (KeyError, TypeError):
            return None

    def live(self) -> State | None:
        """The state of a mesh that is running now; a dead mesh's state is removed on the way. StateError."""
        self.check()
        if not self._has_state:
            return None
        if holder(self) is not None:
            return self.read()
        # Another user's is left to that user.
        with contextlib.suppress(PermissionError):
            self.remove_state()
        return None

    def remove_state(self) -> None:
        """Remove state.json, if it is a mesh's. May be repeated."""
        if self._has_state:
            self.state_file.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove what a mesh that has ended may have left: all but its logs."""
        self.remove_state()
        self.tap_token.unlink(missing_ok=True)
        owned.remove(self.identity)

    @property
    def _has_state(self) -> bool:
        """Whether some version of us wrote state.json: this is not everybody's word for it."""
        return self._fields().keys() >= {"public_api", "proxy_api"}

    def _fields(self) -> dict[str, Any]:
        try:
            fields = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return fields if isinstance(fields, dict) else {}


@dataclass(slots=True)
class Lock:
    """The right to run a mesh in a state directory; lost when released or when the process ends."""

    _fd: int

    def release(self) -> None:
        """Give it back. May be repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def default_state_dir() -> StateDir:
    """Of the mesh that is meant: this user's own, or the whole machine's where this user has none.
    StateError if neither can be.
    """
    system = StateDir(SYSTEM_STATE_DIR)
    by_machine = _explicit() is None and _is_there(system.state_file)
    try:
        own = own_state_dir()
    except StateError:
        if by_machine:
            return system
        raise
    return system if by_machine and not _is_there(own.state_file) else own


def _is_there(path: Path) -> bool:
    # A home folder that is closed to us is no reason to fail.
    with contextlib.suppress(OSError):
        return path.exists()
    return False


def own_state_dir() -> StateDir:
    """$LINKERD2_PY_STATE_DIR, else $XDG_STATE_HOME/linkerd2-py, else ~/.local/state/linkerd2-py.
    StateError without any.
    """
    return _explicit() or _home()


def transparent_state_dir() -> StateDir:
    """Where a mesh that root runs for the machine keeps its state: $LINKERD2_PY_STATE_DIR, else
    /run/linkerd2-py.
    """
    return _explicit() or StateDir(SYSTEM_STATE_DIR)


def _explicit() -> StateDir | None:
    explicit = os.environ.get(STATE_DIR_VARIABLE)
    return StateDir(Path(explicit).absolute()) if explicit else None


def _home() -> StateDir:
    # A relative one is to be passed over, says its specification.
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return StateDir((base if base.is_absolute() else _own_state()) / "linkerd2-py")


def _own_state() -> Path:
    try:
        return Path.home().absolute() / ".local" / "state"
    except RuntimeError:
        raise StateError(
            f"this user has no home folder: choose one with ${STATE_DIR_VARIABLE}"
        ) from None


def try_lock(directory: StateDir) -> Lock | None:
    """Take the lock without waiting; None if another process has it. StateError if unusable.

    Whoever can open the file can keep it locked, so it is its owner's alone.
    """
    fd = _open_lock(directory, flags=os.O_RDWR | os.O_CREAT)
    try:
        os.fchmod(fd, 0o600)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return Lock(fd)


def holder(directory: StateDir) -> int | None:
    """The process that runs the mesh of this directory, UNSEEN, or None. StateError if the directory is
    unusable.

    Only looks: it can never keep a supervisor from taking the lock. Not for the process that
    itself has the lock, which would lose it.
    """
    try:
        if directory.root.stat().st_uid != os.geteuid():
            return _said_holder(directory)
        fd = _open_lock(directory, flags=os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _whence, _start, _length, pid = struct.unpack(
            _FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, wanted)
        )
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else max(int(pid), UNSEEN)


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did; None if it is not to be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself contain some; the start is field 22 of proc(5).
    return int(stat.rpartition(")")[2].split()[19])


def _said_holder(directory: StateDir) -> int | None:
    """As root's mesh tells everybody in its state: others have no business with its lock."""
    state = directory.read()
    if state is None or state.pid <= 0:
        return None
    return state.pid if started_at(state.pid) == state.pid_started else None


def _open_lock(directory: StateDir, *, flags: int) -> int:
    try:
        return owned.open_file(directory.lock_file, flags)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise StateError(f"{directory.lock_file}: No such file or directory") from None
        raise
    except OSError as error:
        raise StateError(f"{directory.lock_file}: {error.strerror}") from error
