"""A policy that has changed, told to those who work by it."""

from __future__ import annotations

import asyncio
from typing import Protocol


class _Targets(Protocol):
    def on_policy(self, port: int) -> None: ...


class _Server(Protocol):
    def ask_again(self) -> None: ...


class PolicyChanges:
    """Targets are treated anew at once; whoever is connected is asked about once for all changes of a turn of
    the loop. `targets` and `servers` are filled in when they are there.
    """

    def __init__(self) -> None:
        self.targets: _Targets | None = None
        self.servers: list[_Server] = []
        self._asking = False

    def on_change(self, port: int) -> None:
        """What holds for a port of the workload is something else now."""
        if self.targets is not None:
            self.targets.on_policy(port)
        if not self._asking:
            self._asking = True
            asyncio.get_running_loop().call_soon(self._ask_again)

    def _ask_again(self) -> None:
        self._asking = False
        for server in self.servers:
            server.ask_again()
