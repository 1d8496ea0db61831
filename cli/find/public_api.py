"""One function for every command: the public API it asks."""

from __future__ import annotations

from typing import Final

from linkerd2_py.cli.find import flag, local
from linkerd2_py.cli.find.control_plane import ControlPlane

NOT_FOUND: Final = (
    "no linkerd2-py control plane found: run `linkerd2-py local up`, or give --api-addr"
)


def find(api_addr: str | None) -> ControlPlane | None:
    """The control plane that is meant; None if there is none. CliError if it cannot be told."""
    return flag.given(api_addr) or local.control_plane()
