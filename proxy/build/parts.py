"""What a proxy consists of: filled by the functions of this package, given back all at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from linkerd2_py import __version__
from linkerd2_py._ext.io.actor import Actor
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.observers.access_log import AccessLog
from linkerd2_py._ext.observers.spans import Spans
from linkerd2_py._ext.route.call_server import CallServer
from linkerd2_py._ext.route.local_server import LocalServer
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tap.taps import Taps
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.event_loop import leave
from linkerd2_py.base.tasks import FAILURES, FAILURES_HELP, count_failures
from linkerd2_py.proxy.config.types import Config
from linkerd2_py.proxy.identity.renewal import Renewal
from linkerd2_py.proxy.listeners import Listening
from linkerd2_py.proxy.settings import ns

logger = logging.getLogger(__name__)

# Of a loop that is closed: what was put off is done, but not for ever.
_LAST_WORK_S: Final = 1.0


class Exporter(Protocol):
    """Sends what was noted to who collects it."""

    async def run(self) -> None:
        """For as long as the proxy serves."""

    async def flush(self) -> None:
        """After that: what is left, once."""


class Asking(Protocol):
    """What has streams to the control plane."""

    def close(self) -> None:
        """Stop asking. Idempotent."""

    async def settled(self) -> None:
        """After `close` of all: until no call of theirs is left in the engine."""


class Parts:
    """Built on the running loop. `closers` give back what was built, the last first."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = Loop(io_uring=config.io_uring, busy_wait=config.busy_wait)
        self.engine.on_error = _on_engine_error
        self.closers: list[Callable[[], None]] = [
            partial(_close_engine, self.engine, loop=asyncio.get_running_loop())
        ]
        self.registry = Registry(retain_idle_ns=ns(config.metrics_retain_idle_s))
        self.registry.info(
            "proxy_build_info", "The version of this proxy.", {"version": __version__}
        )
        self.closers.append(count_failures(partial(_count_failures, self.registry)))
        self.identity = (
            None if config.identity is None else LocalIdentity(config.identity.local_name)
        )
        self.caller: LocalIdentity | None = None
        """Who calls the control plane: the same, before it is certified too."""
        self.when_certified: list[Callable[[], None]] = []
        """What has to wait until this proxy can prove who it is."""
        self.renewal: Renewal | None = None
        self.listening = Listening()
        self.admin: LocalServer | None = None
        self.taps: Taps | None = None
        """Who watches what passes both directions; None: nobody may."""
        self.tap_server: CallServer | None = None
        self.spans: Spans | None = None
        """Who notes spans of both directions; None: nobody collects them."""
        self.exporter: Exporter | None = None
        self.access_log: AccessLog | None = None
        """Who writes down what the inbound servers are asked; None: nobody."""
        self.tables: list[TargetTable] = []
        self.servers: list[ProxyServer] = []
        self.discoveries: list[Asking] = []

    def add_table(self, table: TargetTable) -> None:
        self.tables.append(table)
        self.closers.append(table.close)

    def add_server(self, server: ProxyServer) -> None:
        self.servers.append(server)
        self.closers += [server.abort_all, server.drain]

    def add_discovery(self, discovery: Asking) -> None:
        self.discoveries.append(discovery)
        self.closers.append(discovery.close)

    def close(self) -> None:
        """Give everything back. Idempotent."""
        while self.closers:
            self.closers.pop()()


def _close_engine(engine: Loop, *, loop: asyncio.AbstractEventLoop) -> None:
    leave(engine, loop)
    # What was told to end does so: resets are written, streams let go of their sessions.
    engine.work_off(_LAST_WORK_S)
    engine.close()


def _count_failures(registry: Registry, kind: str, failures: int) -> None:
    registry.counter(f"{FAILURES}_total", FAILURES_HELP, [("task", kind)]).inc(failures)


def _on_engine_error(error: BaseException, actor: Actor) -> None:
    logger.error("the engine failed in %s: %r", type(actor).__name__, error, exc_info=error)
