"""What the command was told: `--api-addr`, or its variable in the environment."""

from __future__ import annotations

import os
from typing import Final

from linkerd2_py.cli.find.control_plane import ControlPlane

VARIABLE: Final = "LINKERD2_PY_API_ADDR"


def given(api_addr: str | None) -> ControlPlane | None:
    """None where nothing is said."""
    address = api_addr or os.environ.get(VARIABLE)
    if not address:
        return None
    return ControlPlane(address if "://" in address else f"http://{address}")
