"""What the command was told: `--api-addr`, or its variable in the environment."""

from __future__ import annotations

import os
from typing import Final

from linkerd2_py.cli.find.control_plane import ControlPlane

VARIABLE: Final = "LINKERD2_PY_API_ADDR"


def given(api_addr: str | None) -> ControlPlane | None:
    """None where nothing is said."""
    return _at(api_addr, found_by="--api-addr")


def of_environment() -> ControlPlane | None:
    """None where nothing is said."""
    return _at(os.environ.get(VARIABLE), found_by=f"${VARIABLE}")


def _at(address: str | None, *, found_by: str) -> ControlPlane | None:
    if not address:
        return None
    url = address if "://" in address else f"http://{address}"
    return ControlPlane(url, found_by=found_by)
