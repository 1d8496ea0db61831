"""Programs of Linkerd's that are given by path; whoever needs one that is not is skipped."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import pytest


class Program(StrEnum):
    """Each by the variable of the environment that says where it is."""

    PROXY = "L5D_LINKERD2_PROXY"
    CONTROLLER = "L5D_LINKERD_CONTROLLER"
    POLICY_CONTROLLER = "L5D_LINKERD_POLICY_CONTROLLER"

    @property
    def is_given(self) -> bool:
        return bool(os.environ.get(self))


def need(program: Program) -> Path:
    """Its file. Skips the test where none is given; fails it where what is given is none."""
    given = os.environ.get(program)
    if not given:
        pytest.skip(f"{program} is not set: no such program of Linkerd's to run with")
    path = Path(given)
    assert os.access(path, os.X_OK), f"{program}={given}: this cannot be run"
    return path
