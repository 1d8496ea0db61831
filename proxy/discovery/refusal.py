"""Targets that are refused: answered, and forgotten in the next turn of the loop, so that whoever invents
authorities leaves nothing behind. And targets that nobody uses, when there is no room for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Final

from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable

TARGETS_MAX: Final = 5_000
"""Targets of one direction that traffic may name at once. Each costs some KiB, and a stream or two when
the control plane or DNS is asked about it, until it is idle: 50 MiB at the most."""

TOO_MANY: Final = (503, "too many targets at once")


def refuse(target: Target, *, status: int, text: str, table: TargetTable) -> None:
    """Answer what is addressed to `target` now with `status`: HTTP in words, anything else with a reset."""
    target.reject(status, text)
    _forget(target, table=table)


def refuse_loop(target: Target, *, table: TargetTable) -> None:
    """The same for a target that is this proxy itself."""
    target.reject_loop()
    _forget(target, table=table)


def _forget(target: Target, *, table: TargetTable) -> None:
    # A connection whose original destination it is must be looked at before it can be answered.
    target.configure()
    asyncio.get_running_loop().call_soon(table.remove, target)


def drop_unused(
    table: TargetTable, *, known: Container[bytes], drop: Callable[[Target], None]
) -> None:
    """Give up at once those of the `known` targets that nobody uses: a workload that talks to thousands
    of addresses, each for a moment, needs room for the next one more than a memory of the last ones.
    """
    for target in table.targets():
        if target.key in known and not target.in_use:
            drop(target)
