"""The command line against a state directory of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.privileges import need_root
from tests.support.wait import patience

ENTRY = (sys.executable, "-m", "linkerd2_py.cli.main")
MODES = ("loopback", "transparent")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class MeshCli:
    """Runs `linkerd2-py` commands; `stop` leaves nothing behind whatever happened."""

    root: Path

    @property
    def env(self) -> dict[str, str]:
        return os.environ | {"LINKERD2_PY_STATE_DIR": str(self.root / "state"), "NO_COLOR": ""}

    def run(self, *words: str, timeout_s: float = 60) -> Done:
        done = subprocess.run(
            [*ENTRY, *words],
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.root,
            timeout=timeout_s * patience(),
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, timeout_s: float = 60) -> str:
        """The output of a command that must succeed."""
        done = self.run(*words, timeout_s=timeout_s)
        assert done.status == 0, f"{words}: {done}\n{self.logs()}"
        return done.out

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "-o", "json"))

    @contextlib.contextmanager
    def lines(self, *words: str) -> Iterator[Iterator[str]]:
        """What a command that goes on for ever says, until the block ends."""
        with subprocess.Popen(
            [*ENTRY, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.env,
            cwd=self.root,
        ) as going:
            assert going.stdout is not None
            try:
                yield iter(going.stdout)
            finally:
                going.terminate()

    def logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        paths = sorted((self.root / "state" / "logs").glob("*.log"))
        return "\n".join(f"--- {p.name}\n{p.read_text(errors='replace')[-1500:]}" for p in paths)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.root / "state" / "state.json").read_text())
        return state

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.state()["pid"])
        return [supervisor, *supervisor.children(recursive=True)]

    def left(self) -> list[psutil.Process]:
        """Every process of this machine that was started for this mesh."""
        mark = f"LINKERD2_PY_STATE_DIR={self.root / 'state'}"
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if mark in (f"{name}={value}" for name, value in process.environ().items()):
                    found.append(process)
        return found

    def stop(self) -> None:
        """End the mesh by force if asking does not help."""
        if self.run("local", "down").status != 0 and (self.root / "state/state.json").exists():
            os.kill(self.state()["pid"], signal.SIGKILL)


@contextlib.contextmanager
def mesh_up(root: Path, files: Mapping[str, str], *, mode: str = "loopback") -> Iterator[MeshCli]:
    """A detached mesh of these files, `mesh.yaml` among them, in one of MODES. It is ended also where only a
    part of it came up.
    """
    flags = ["--transparent"] if mode == "transparent" else []
    if flags:
        need_root()
    made = MeshCli(root)
    for name, text in files.items():
        (root / name).write_text(text)
    try:
        made.ok("local", "up", "-f", "mesh.yaml", "--detach", *flags, timeout_s=120)
        yield made
    finally:
        made.stop()


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Change one place of a file."""
    changed, count = re.subn(pattern, replacement, path.read_text())
    assert count == 1, f"{pattern!r} is {count} times in {path}"
    replace(path, changed)


def replace(path: Path, text: str) -> None:
    """Write a file in one step, as editors do."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def assert_ended(processes: Sequence[psutil.Process]) -> None:
    """Every one has ended."""
    _gone, alive = psutil.wait_procs(list(processes), timeout=10 * patience())
    assert not alive


def addresses_of(processes: Sequence[psutil.Process]) -> list[tuple[str, int]]:
    """What they listen on."""
    connections = [found for process in processes for found in process.net_connections("tcp")]
    listening = [found for found in connections if found.status == psutil.CONN_LISTEN]
    return [(found.laddr.ip, found.laddr.port) for found in listening]
