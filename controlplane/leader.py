"""One of several processes that would do the same work: the one that holds a Lease object, as client-go
elects it.

Who holds the lease renews it; who does not takes it once it has seen no renewal for as long as the lease
lasts. Only the time between two looks of one's own counts, never what a clock elsewhere said: clocks that are
an hour apart do no harm. A leader that cannot renew stops to be one while nobody else can have become one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from linkerd2_py.base.backoff import unit_random
from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

logger = logging.getLogger(__name__)

_JITTER: Final = 0.2
_LAST_WORDS_S: Final = 2.0
_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """client-go's: how long a lease lasts, for how long its holder is sure of it, and how often it is looked
    at. The holder must be sure for less long than the lease lasts: what it began to write then is over.
    """

    lease_s: float = 15.0
    sure_s: float = 10.0
    look_s: float = 2.0


class Leader:
    """A contender called `identity`, which no other contender is, from `start` to `stop`.

    Whoever does the leader's work waits for `elected`, and asks `is_leader` before every piece of it.
    """

    def __init__(
        self,
        api: KubernetesApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        times: LeaseTimes | None = None,
        random: Callable[[], float] = unit_random,
    ) -> None:
        self._api = api
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._clock = clock
        self._times = times or LeaseTimes()
        self._random = random
        # As it was seen last, what it said then, and since when it has been saying so.
        self._lease: Json = {}
        self._said: Json = {}
        self._said_since = _NEVER
        self._sure_until = _NEVER
        self._elected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.problem = ""

    @property
    def is_leader(self) -> bool:
        """Whether this process is the one, at this very moment."""
        return self._clock.monotonic() < self._sure_until

    async def elected(self) -> None:
        """Wait until it is."""
        while not self.is_leader:
            self._elected.clear()
            await self._elected.wait()

    def start(self) -> None:
        """Contend from now on."""
        self._task = supervise(self._contend, name=f"leader {self._name}")

    async def stop(self) -> None:
        """Contend no more; another may follow at once. May be repeated."""
        if self._task:
            await cancel_all([self._task])
        if self.is_leader:
            self._sure_until = _NEVER
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._give_back()

    async def _give_back(self) -> None:
        """Let the next one have it at once. What was being written when it was stopped may still arrive."""
        while True:
            try:
                self._see(await self._read())
                if self._holder == self._identity:
                    await self._write(
                        {**self._said, "holderIdentity": "", "leaseDurationSeconds": 1}
                    )
            except ApiError as error:
                if error.status != HTTPStatus.CONFLICT:
                    return
            else:
                return

    async def _contend(self) -> None:
        while True:
            asked_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._times.sure_s):
                    holds = await self._take_or_renew()
            except (ApiError, TimeoutError) as error:
                # It may have been written, or not: what was so before holds for as long as it is sure.
                self._failed(str(error) or "no answer in time")
            else:
                self._settled(holds=holds, asked_at=asked_at)
            await asyncio.sleep(self._times.look_s * (1 + _JITTER * self._random()))

    async def _take_or_renew(self) -> bool:
        """Whether the lease is ours now."""
        if not (self.is_leader and self._lease):
            # The holder knows what it wrote; if it is wrong, the API server refuses its version.
            self._see(await self._read())
        if self._holder != self._identity and not self._has_run_out():
            return False
        await self._write(self._renewed())
        return True

    async def _read(self) -> Json:
        try:
            return await self._api.get(f"{self._leases}/{self._name}", {})
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise

    def _see(self, lease: Json) -> None:
        self._lease = lease
        said = lease.get("spec") or {}
        if said != self._said:
            self._said, self._said_since = said, self._clock.monotonic()

    @property
    def _holder(self) -> str:
        return str(self._said.get("holderIdentity") or "")

    def _has_run_out(self) -> bool:
        """Whether nobody holds it, or who did has not renewed it while we looked on."""
        lasts = self._said.get("leaseDurationSeconds")
        lasts_s = lasts if isinstance(lasts, int) else self._times.lease_s
        return not self._holder or self._clock.monotonic() >= self._said_since + lasts_s

    def _renewed(self) -> Json:
        now = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        renewed = {
            **self._said,
            "holderIdentity": self._identity,
            # Whole seconds, and at least one.
            "leaseDurationSeconds": max(1, round(self._times.lease_s)),
            "renewTime": now,
        }
        if self._holder != self._identity:
            renewed["acquireTime"] = now
            terms = self._said.get("leaseTransitions")
            renewed["leaseTransitions"] = terms + 1 if isinstance(terms, int) else 0
        return renewed

    async def _write(self, said: Json) -> None:
        # What was seen of it is told with its version: somebody who was faster makes this fail.
        lease, self._lease = self._lease, {}
        if lease:
            path = f"{self._leases}/{self._name}"
            self._see(await self._api.replace(path, {**lease, "spec": said}))
        else:
            new = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": said,
            }
            self._see(await self._api.create(self._leases, new))

    def _settled(self, *, holds: bool, asked_at: float) -> None:
        was_leader = self.is_leader
        self.problem = ""
        # Counted from before it was asked: nobody saw the new lease earlier.
        self._sure_until = asked_at + self._times.sure_s if holds else _NEVER
        if holds and not was_leader:
            logger.info("%s: %s leads", self._name, self._identity)
            self._elected.set()
        elif was_leader and not holds:
            logger.warning("%s: %s leads now", self._name, self._holder)

    def _failed(self, reason: str) -> None:
        if reason != self.problem:
            logger.warning("%s: the lease cannot be taken or renewed: %s", self._name, reason)
        self.problem = reason
