"""Reading the log files of a local mesh: which ones, from where, and on as they grow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkerd2_py.cli.errors import CliError

CONTROL_PLANE: Final = "control-plane"
POLL_S: Final = 0.3
_SUFFIXES: Final = {
    "-proxy": "proxy",
    "-proxy-init": "init",
    "-network-validator": "init",
    "-network-validator-ipv6": "init",
}
"""What a log's name ends with, and the container that is; the program's own has nothing added."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for: a pod, a workload (`deploy/web`), or all; one container or all of them."""

    name: str = ""
    container: str = ""

    def matches(self, stem: str) -> bool:
        """Whether the log called `stem` is meant."""
        if stem == CONTROL_PLANE:
            return self.name in {"", CONTROL_PLANE} and not self.container
        suffix = next((end for end in _SUFFIXES if stem.endswith(end)), "")
        if self.container not in {"", _SUFFIXES.get(suffix, "app")}:
            return False
        pod = stem.removesuffix(suffix)
        workload = re.sub(r"-[0-9]+\Z", "", pod)
        kind, slash, name = self.name.partition("/")
        if slash:
            return (pod if kind in {"po", "pod", "pods"} else workload) == name
        return not self.name or self.name in {pod, workload}


def select(directory: Path, selection: Selection) -> list[Path]:
    """The files meant, sorted. CliError if there is none, or if they are another user's."""
    if directory.exists() and not os.access(directory, os.R_OK | os.X_OK):
        raise CliError("the logs of this mesh belong to another user: run this with sudo")
    found = sorted(path for path in directory.glob("*.log") if selection.matches(path.stem))
    if not found:
        there = ", ".join(sorted(path.stem for path in directory.glob("*.log"))) or "none"
        raise CliError(f"no log of {selection.name or 'anything'}; there are: {there}")
    return found


class LogReader:
    """Reads what files have gained; lines get their file's name in front if there are several."""

    def __init__(self, paths: Sequence[Path], *, tail: int | None) -> None:
        self._tail = tail
        self._prefixes = {path: f"[{path.stem}] " if len(paths) > 1 else "" for path in paths}
        self._offsets = dict.fromkeys(paths, 0)

    def read(self) -> list[str]:
        """Whole lines written since the last call, file by file; the first call honours `tail`."""
        lines = [line for path in self._offsets for line in self._read_one(path)]
        self._tail = None
        return lines

    def _read_one(self, path: Path) -> list[str]:
        try:
            size = path.stat().st_size
            # A log that shrank was started over.
            start = self._offsets[path] if self._offsets[path] <= size else 0
            with path.open("rb") as file:
                file.seek(start)
                text = file.read(size - start)
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1] if self._offsets[path] or self._tail is None else text
        self._offsets[path] = start + len(whole)
        lines = whole.decode("utf-8", "replace").splitlines()
        if self._tail is not None:
            lines = lines[-self._tail :] if self._tail else []
        return [f"{self._prefixes[path]}{line}" for line in lines]


def follow(reader: LogReader, *, show: Callable[[Sequence[str]], None]) -> None:
    """Show what comes until KeyboardInterrupt."""
    while True:
        show(reader.read())
        time.sleep(POLL_S)
