"""Starting and stopping a mesh from another process: what `local up` and `local down` do.

The supervisor is always a process of its own; this module starts it, listens to its reports and
ends it. It imports neither grpc nor yaml, so the command line stays quick.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from linkerd2_py.controlplane.local import sample
from linkerd2_py.controlplane.local.place.env import PASSED_ON, base_env
from linkerd2_py.controlplane.local.programs.process import launch_argv
from linkerd2_py.controlplane.local.state import owned
from linkerd2_py.controlplane.local.state.owned import StateError
from linkerd2_py.controlplane.local.state.state_dir import UNSEEN, StateDir, holder
from linkerd2_py.controlplane.local.supervise.reports import Report, read_reports

STOP_LIMIT_S: Final = 20.0
"""Longer than a pod's graceful end; after it the supervisor is killed, and its pods with it."""
POLL_S: Final = 0.05
SAMPLE_MESH_FILE: Final = Path(sample.__file__).with_name("mesh.yaml")


class IssuerPaths(NamedTuple):
    """The files of an issuer that is not thrown away with the mesh."""

    anchors: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start, and whether it ends with the process that starts it."""

    mesh_file: Path
    state_dir: StateDir
    detach: bool
    issuance_lifetime_s: float
    start_limit_s: float = 60.0
    transparent: bool = False
    issuer: IssuerPaths | None = None
    own_prometheus: bool = False
    prometheus_url: str = ""

    @property
    def is_sample(self) -> bool:
        """Whether it is the application that comes with this package."""
        return self.mesh_file == SAMPLE_MESH_FILE

    @property
    def cwd(self) -> Path:
        """Commands of a mesh.yaml run beside it; those of the sample run in the state directory."""
        return self.state_dir.root if self.is_sample else self.mesh_file.parent


class Supervising:
    """A supervisor that this process has started."""

    def __init__(self, launch: Launch) -> None:
        read, write = os.pipe()
        argv = _argv(launch, report_fd=write)
        if not launch.detach:
            argv = launch_argv(argv, death_signal=signal.SIGTERM)
        path = launch.state_dir.log_of("control-plane")
        with os.fdopen(owned.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as log:
            self._process = subprocess.Popen(
                argv,
                env=base_env() | _proxy_settings(),
                cwd=launch.state_dir.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)
        self._pipe = os.fdopen(read, encoding="utf-8")

    def reports(self) -> Iterator[Report]:
        """Its news, until it ends."""
        return read_reports(self._pipe)

    def ask_to_stop(self) -> None:
        """Begin a graceful end. May be repeated."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status, once it has ended; killed if it takes longer than any end should."""
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Stop listening; the supervisor goes on. May be repeated."""
        self._pipe.close()


def stop_mesh(directory: StateDir) -> bool:
    """Stop the mesh of this state directory; False if none was running. StateError if that is not ours to do.

    Returns when its last process has ended. A dead mesh's state is removed.
    """
    directory.check()
    pid = holder(directory)
    if pid is None:
        directory.remove_all()
        return False
    if pid == UNSEEN:
        raise StateError(
            "the local mesh runs in another process namespace (a container?): stop it from there"
        )
    for number in (signal.SIGTERM, signal.SIGKILL):
        _send(number, to=pid, directory=directory)
        if _wait_free(directory):
            break
    directory.remove_all()
    return True


def _send(number: signal.Signals, *, to: int, directory: StateDir) -> None:
    """Signal the process that has the lock, and never another that got its number meanwhile."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(to)
        try:
            # Asked again while the number is held.
            if holder(directory) == to:
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _wait_free(directory: StateDir) -> bool:
    deadline = time.monotonic() + STOP_LIMIT_S
    while holder(directory) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _argv(launch: Launch, *, report_fd: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "linkerd2_py.controlplane.run.supervisor",
        *("--file", str(launch.mesh_file)),
        *("--cwd", str(launch.cwd)),
        *("--state-dir", str(launch.state_dir.root)),
        *("--report-fd", str(report_fd)),
        *("--start-limit", str(launch.start_limit_s)),
        *(("--transparent",) if launch.transparent else ()),
        *("--issuance-lifetime", str(launch.issuance_lifetime_s)),
        *(("--issuer", *map(str, launch.issuer)) if launch.issuer else ()),
        *(("--prometheus",) if launch.own_prometheus else ()),
        *(("--prometheus-url", launch.prometheus_url) if launch.prometheus_url else ()),
    ]


def _proxy_settings() -> dict[str, str]:
    """What a person says of every proxy, on its way to them."""
    return {name: os.environ[name] for name in sorted(PASSED_ON) if name in os.environ}
