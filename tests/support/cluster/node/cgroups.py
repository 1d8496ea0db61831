"""The cgroups that a node's processes and pods are in: below our own, and gone with the node.

Where only version 1 can be had, each of its hierarchies gets one; where the machine has version 2 with
controllers, the one hierarchy does.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Final

from tests.support.wait import eventually

ROOT: Final = Path("/sys/fs/cgroup")
# What a kubelet counts and limits by.
NEEDED: Final = ("cpu", "cpuset", "memory", "pids")
_GONE_S: Final = 20.0


def unified() -> bool:
    """Whether the machine uses version 2: otherwise it is mounted aside, without these controllers."""
    return (ROOT / "cgroup.controllers").exists()


def make(name: str) -> list[Path]:
    """One in each hierarchy, all of this name. Raises `OSError`, and has made none then."""
    made: list[Path] = []
    try:
        for parent in [ROOT] if unified() else _ours():
            cgroup = parent / name
            cgroup.mkdir()
            made.append(cgroup)
            if parent.is_relative_to(ROOT / "cpuset"):
                _may_run_everywhere(cgroup, parent=parent)
    except OSError:
        remove(made)
        raise
    return made


def remove(cgroups: list[Path]) -> None:
    """With all that were made below them, once their last processes have ended."""
    for cgroup in cgroups:
        eventually(
            functools.partial(_try_remove, cgroup), deadline_s=_GONE_S, what=f"{cgroup} is empty"
        )


def _ours() -> list[Path]:
    """The folder of this process in each hierarchy of version 1."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = ROOT / controllers.removeprefix("name=") / path.lstrip("/")
        if controllers and folder.is_dir():
            found.append(folder)
    missing = [one for one in NEEDED if not any(one in str(path).split("/") for path in found)]
    if missing:
        raise FileNotFoundError(f"no cgroups of {', '.join(missing)} below {ROOT}")
    return found


def _may_run_everywhere(cgroup: Path, *, parent: Path) -> None:
    # Without processors and memory nothing may enter it, and its children have none unless told to inherit.
    for name in ("cpuset.cpus", "cpuset.mems"):
        (cgroup / name).write_text((parent / name).read_text())
    (cgroup / "cgroup.clone_children").write_text("1")


def _try_remove(cgroup: Path) -> bool:
    children = sorted(cgroup.rglob("*/"), key=lambda path: len(path.parts), reverse=True)
    for one in [*children, cgroup]:
        with contextlib.suppress(OSError):
            one.rmdir()
    return not cgroup.exists()
