"""What is asked: a port of a workload."""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py.controlplane.policy.refusals import RefusedError
from linkerd2_py.controlplane.policy.workload import (
    AskingWorkload,
    InvalidWorkloadError,
    parse_workload,
)

_HIGHEST_PORT = 65535


class PortQuestion(NamedTuple):
    """Who may call a port of `workload`, by its number there. `tokens`: its proxy checks them. `external`: it
    has requests authorized by others. What it would leave out is not said to it.
    """

    workload: AskingWorkload
    port: int
    tokens: bool = False
    external: bool = False


def port_question(
    workload: str, port: int, *, tokens: bool = False, external: bool = False
) -> PortQuestion:
    """What `GetPort` and `WatchPort` are asked. Raises `RefusedError`."""
    try:
        asking = parse_workload(workload)
    except InvalidWorkloadError as error:
        raise RefusedError("invalid", str(error)) from error
    if not 0 < port <= _HIGHEST_PORT:
        raise RefusedError("invalid", f"Invalid port: {port}")
    return PortQuestion(asking, port, tokens, external)
