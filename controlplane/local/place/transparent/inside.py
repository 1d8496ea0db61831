"""Becoming a program inside a pod of a running mesh."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from linkerd2_py.controlplane.local.place.netns import names
from linkerd2_py.controlplane.local.place.placement import LAUNCH, Placement
from linkerd2_py.controlplane.local.place.transparent.plan import caller
from linkerd2_py.controlplane.local.state.state_dir import State, StateDir


class NoSuchPodError(Exception):
    """The mesh has no such pod now; the text is one line for a person."""


def become(pod: str, command: Sequence[str], *, state: State, directory: StateDir) -> NoReturn:
    """Replace this process by `command`, placed as the pod's program is. NoSuchPodError before anything
    happened.
    """
    prefix = f"{state.network}-"
    pods = [name.removeprefix(prefix) for name in names() if name.startswith(prefix)]
    if pod not in pods or pod == "node":
        there = ", ".join(name for name in pods if name != "node") or "none"
        raise NoSuchPodError(f"there is no pod {pod!r} in this mesh; there are: {there}")
    etc = directory.etc / state.namespace
    place = Placement(netns=prefix + pod, etc=etc, uid=caller())
    # Not tied to anything: it is this process's own parent that it belongs to, and it asks for no signal.
    tie = [str(os.getppid()), "0"]
    os.execv(  # noqa: S606  # becoming it is the point
        sys.executable,
        [sys.executable, "-I", "-S", LAUNCH, *tie, *place.words, "--", *command],
    )
