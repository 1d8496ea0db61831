"""A cluster that lasts from `up` to `down`: a process of its own that holds it, and how others find that
process.

The keeper has a lock on a file with its process number for as long as it lives, so a keeper that was killed
is not taken for one that runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from tests.support.cluster.control_plane import ControlPlane, StartError
from tests.support.cluster.node.cluster import NodeCluster
from tests.support.cluster.programs import BuildError

READY: Final = "ready\n"
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def default_root() -> Path:
    """Where the cluster of `./mesh cluster` keeps its files."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "linkerd2-py" / "cluster"


def kubeconfig(root: Path) -> Path:
    """Of whoever may do everything."""
    return root / "keys" / "admin.kubeconfig"


def holder(root: Path) -> int | None:
    """The process number of the keeper that runs at `root`; None when there is none."""
    try:
        with (root / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int((root / "lock").read_text())


def has_node(root: Path) -> bool:
    """Whether pods run in the cluster that runs at `root`."""
    return (root / "pid").exists()


def start(root: Path, *, node: bool) -> None:
    """Start a keeper and wait until its cluster answers. Raises `StartError` with what the keeper said."""
    words = ["-m", "tests.support.cluster.keeper", str(root), *(["node"] if node else [])]
    command = [sys.executable, *words]
    keeper = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with keeper:
        said = keeper.stdout.readline() if keeper.stdout else ""
        if said == READY:
            # It lives on without us; its standard output was for this one line.
            keeper.returncode = 0
            return
        rest = keeper.stdout.read() if keeper.stdout else ""
    raise StartError(f"{said}{rest}".strip() or f"the keeper ended with {keeper.returncode}")


def stop(root: Path) -> bool:
    """End the keeper and wait until all its programs have ended; False when none runs."""
    number = holder(root)
    if number is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM)
    with (root / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    shutil.rmtree(root)
    return True


def keep(root: Path, *, node: bool) -> int:
    """Be the keeper: hold a cluster until told to end. The exit status."""
    ending = threading.Event()
    for number in _ENDING:
        signal.signal(number, lambda *_: ending.set())
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"a cluster already runs at {root}")
            return 1
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return _hold(root, node=node, ending=ending)


def _hold(root: Path, *, node: bool, ending: threading.Event) -> int:
    shutil.rmtree(root / "etcd", ignore_errors=True)
    try:
        with contextlib.closing(NodeCluster(root) if node else ControlPlane(root)):
            sys.stdout.write(READY)
            sys.stdout.flush()
            ending.wait()
    except (BuildError, StartError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(keep(Path(sys.argv[1]), node="node" in sys.argv[2:]))
