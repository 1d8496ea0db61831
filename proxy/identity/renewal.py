"""When to ask for a certificate: at once, then at 70 % of each one's life, and again and again while that
fails.

What fails changes nothing: the certificate in force stays until its end, and connections outlive it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.tls.identity import LocalIdentity
from linkerd2_py.base.backoff import Backoff
from linkerd2_py.base.clock import Clock
from linkerd2_py.proxy.identity.certify import Certificate, CertifyError

logger = logging.getLogger(__name__)

_SHARE: Final = 0.7
_LOOK_S: Final = 10.0
"""How often the calendar is looked at while waiting: it may have jumped past the end."""
_WARN_S: Final = 15.0


class Bounds(NamedTuple):
    """The shortest and the longest time between two certificates, in seconds."""

    min_s: float
    max_s: float


class Metrics:
    """The families of Linkerd's proxy."""

    def __init__(self, registry: Registry) -> None:
        self.expiration = registry.gauge(
            "control_identity_cert_expiration_timestamp_seconds",
            "When the certificate in force ends (Unix seconds).",
        )
        self.refreshed = registry.gauge(
            "control_identity_cert_refresh_timestamp_seconds",
            "When the certificate in force came (Unix seconds).",
        )
        self.refreshes = {
            result: registry.counter(
                "control_identity_cert_refreshes_total",
                "Certificates asked for, by result.",
                {"result": result}.items(),
            )
            for result in ("ok", "error")
        }


class Renewal:
    """Keeps `identity` certified for as long as `run` runs. `certified` is set with the first certificate."""

    def __init__(
        self,
        certify: Callable[[], Awaitable[Certificate]],
        *,
        identity: LocalIdentity,
        bounds: Bounds,
        metrics: Metrics,
        clock: Clock,
        backoff: Backoff,
        look_s: float = _LOOK_S,
    ) -> None:
        self._certify = certify
        self._identity = identity
        self._bounds = bounds
        self._metrics = metrics
        self._clock = clock
        self._backoff = backoff
        self._look_s = look_s
        self._ends = 0.0
        self.certified = asyncio.Event()
        self.problem = "the identity service has not answered yet"

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                certificate = await self._certify()
            except CertifyError as error:
                await self._failed(str(error))
            else:
                await self._succeeded(certificate)

    async def warn(self) -> None:
        """Say every 15 s why there is no certificate yet; ends with the first one."""
        while not self.certified.is_set():
            try:
                async with asyncio.timeout(_WARN_S):
                    await self.certified.wait()
            except TimeoutError:
                logger.warning("waiting for a certificate: %s", self.problem)

    async def _succeeded(self, certificate: Certificate) -> None:
        self._identity.install(certificate.credentials)
        now, self._ends = self._clock.wall(), certificate.valid_until
        self._metrics.expiration.set(self._ends)
        self._metrics.refreshed.set(now)
        self._metrics.refreshes["ok"].inc()
        logger.info("certified as %s for %.0f s", self._identity.name, self._ends - now)
        self.problem = ""
        self._backoff.reset()
        self.certified.set()
        wait = (self._ends - now) * _SHARE
        await self._wait(min(max(wait, self._bounds.min_s), self._bounds.max_s))

    async def _failed(self, problem: str) -> None:
        self._metrics.refreshes["error"].inc()
        if problem != self.problem:
            # Once for each reason: a service that stays away would fill the log.
            logger.warning("no certificate: %s", problem)
        self.problem = problem
        if self.certified.is_set() and self._clock.wall() >= self._ends:
            logger.error(
                "the certificate of %s has ended: peers will refuse it", self._identity.name
            )
        await asyncio.sleep(min(self._backoff.next_delay_s(), self._bounds.min_s))

    async def _wait(self, seconds: float) -> None:
        """Until so many seconds have passed, or the calendar says that they must have."""
        due, due_wall = self._clock.monotonic() + seconds, self._clock.wall() + seconds
        while True:
            left = due - self._clock.monotonic()
            if left <= 0 or self._clock.wall() >= due_wall:
                return
            await asyncio.sleep(min(left, self._look_s))
