"""One proxy from its build to its end: certified, serving, drained, given back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.event_loop import leave, run_inside
from linkerd2_py.base.tasks import cancel_all, spawn, supervise
from linkerd2_py.proxy.build.access_log import build_access_log
from linkerd2_py.proxy.build.admin import build_admin, guard_admin
from linkerd2_py.proxy.build.control import (
    build_identity,
    build_lookups,
    build_policy,
    with_destination,
)
from linkerd2_py.proxy.build.inbound import build_inbound
from linkerd2_py.proxy.build.outbound import build_outbound
from linkerd2_py.proxy.build.parts import Parts
from linkerd2_py.proxy.build.tap import build_tap
from linkerd2_py.proxy.build.tracing import build_tracing
from linkerd2_py.proxy.config.types import Config
from linkerd2_py.proxy.drain import drain
from linkerd2_py.proxy.log_level import LogLevel

logger = logging.getLogger(__name__)

_FLUSH_S: Final = 2.0


class Proxy:
    """A built proxy. Whoever built it calls `run`, then `close`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ready = False
        self.ending = asyncio.Event()

    def shut_down(self) -> None:
        """Ask for the orderly end; asking again changes nothing."""
        self.ending.set()

    async def run(self) -> None:
        """Serve until asked to end, then drain and stop asking the control plane."""
        loop, engine = asyncio.get_running_loop(), self.parts.engine
        run_inside(engine, loop)
        logger.info("listening %s", self.parts.listening)
        renewing = self._renew()
        exporting = self._export()
        try:
            await self._certified()
            self._serve()
            await self.ending.wait()
            self.ready = False
            await self._drain()
            await cancel_all(exporting)
            await self._flush()
        finally:
            await cancel_all([*renewing, *exporting])
            # From here on nothing happens in the engine by itself: only what is closed below.
            leave(engine, loop)
            for discovery in self.parts.discoveries:
                discovery.close()
            for discovery in self.parts.discoveries:
                await discovery.settled()

    def close(self) -> None:
        """Give everything back. Idempotent."""
        self.parts.close()

    def _renew(self) -> list[asyncio.Task[None]]:
        """Begin to ask for certificates, where this proxy has an identity."""
        renewal = self.parts.renewal
        if renewal is None:
            return []
        return [
            supervise(renewal.run, name="identity"),
            supervise(renewal.warn, name="identity-warning"),
        ]

    def _export(self) -> list[asyncio.Task[None]]:
        """Begin to send spans, where somebody collects them."""
        exporter = self.parts.exporter
        return [] if exporter is None else [supervise(exporter.run, name="trace-collector")]

    async def _flush(self) -> None:
        """The spans of what was drained; not for longer than it is worth."""
        exporter = self.parts.exporter
        if exporter is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    await exporter.flush()

    async def _certified(self) -> None:
        """Nothing is served before there is something to prove ourselves with; whoever connects waits in
        the kernel.
        """
        renewal = self.parts.renewal
        if renewal is None:
            return
        waits = [
            spawn(renewal.certified.wait(), name="first-certificate"),
            spawn(self.ending.wait(), name="ending"),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all(waits)

    def _serve(self) -> None:
        """Take who waits, and who comes; not when the end came first: drained, a held listener
        resets them.
        """
        if self.ending.is_set():
            return
        for server in self.parts.servers:
            server.start()
        if self.parts.tap_server is not None:
            self.parts.tap_server.start()
        self.ready = True

    async def _drain(self) -> None:
        grace_s = self.parts.config.shutdown_grace_s
        logger.info("draining for up to %g s", grace_s)
        await drain(self.parts.servers, grace_s=grace_s, clock=SystemClock())
        logger.info("drained")


def build(config: Config, *, log_level: LogLevel) -> Proxy:
    """Build the proxy on the running loop and bind its listeners.

    ListenError when one is taken, IdentityError when a file of its identity cannot be read.
    """
    parts = Parts(config)
    proxy = Proxy(parts)
    try:
        build_admin(
            parts, ready=lambda: proxy.ready, shut_down=proxy.shut_down, log_level=log_level
        )
        lookups = build_lookups(parts)
        build_identity(parts, lookups)
        build_tap(parts)
        build_access_log(parts)
        build_tracing(parts, lookups)
        api = build_policy(parts, lookups)
        asking = with_destination(parts, lookups)._replace(policies=api)
        guard_admin(parts, build_inbound(parts, api, lookups=asking))
        build_outbound(parts, asking)
    except BaseException:
        proxy.close()
        raise
    return proxy
