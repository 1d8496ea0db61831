"""Writes what follows from the mesh, as long as it leads, and only where it is not what it should be.

    a change of the mesh ─► which subjects it may make different ─► each: what is there, what should be
      equal: nothing is asked or written
      else:  it is written, if nobody else has changed it meanwhile

What was written is looked at again a while later, and what could not be is tried again, later each time. So
two who disagree write ever more seldom.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from prometheus_client import Counter

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.slices import next_slice
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.kubernetes_api import ApiError
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import Kind, MeshStore
from linkerd2_py.controlplane.writing.pace import Pace

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Hashable)
# How often it is seen that somebody else leads, while nothing is to be written.
_LOOK_S: Final = 5.0


class Leadership(Protocol):
    """Whether this process is the one that writes."""

    @property
    def is_leader(self) -> bool:
        """At this very moment."""

    async def elected(self) -> None:
        """Wait until it is."""


class Counted(NamedTuple):
    """Subjects that were written, and writes that the API server did not take."""

    written: Counter
    failed: Counter


class Writer(ABC, Generic[S]):
    """Keeps `what` belongs to each subject what it should be, from `start` to `stop`."""

    def __init__(
        self,
        store: MeshStore,
        *,
        what: str,
        made_from: Iterable[Kind],
        leadership: Leadership,
        counted: Counted,
        clock: Clock,
        pace: Pace[S] | None = None,
    ) -> None:
        self._mesh = store.mesh
        self._what = what
        self._made_from = made_from
        self._leadership = leadership
        self._counted = counted
        self._pace = Pace(clock=clock) if pace is None else pace
        # To be looked at, in this order; told of by the event.
        self._touched: dict[S, None] = {}
        self._touch = asyncio.Event()
        self._leads = False
        self._idle = True
        self._task: asyncio.Task[None] | None = None
        self._subscription = store.subscribe(self._on_changes)
        self._problem = ""

    @abstractmethod
    def _all(self) -> Iterable[S]:
        """Every subject that may be different: whoever is elected looks at them."""

    @abstractmethod
    def _touched_by(self, changes: Sequence[Change]) -> Iterable[S]:
        """Those that changes may make different."""

    @abstractmethod
    def _differs(self, subject: S) -> bool:
        """Whether something is to be written, as far as the mesh knows."""

    @abstractmethod
    async def _write(self, subject: S) -> bool:
        """Whether something had to be written. Raises `ApiError`. The lease may have run out since it was
        looked at: before each write it is asked for again.
        """

    @property
    def problem(self) -> str:
        """Why something could not be written last, as long as something is left to be looked at."""
        return self._problem if self.unsettled else ""

    @property
    def unsettled(self) -> int:
        """How many were written a moment ago, or could not be, and are looked at again."""
        return len(self._pace)

    @property
    def is_settled(self) -> bool:
        """Whether it leads, and everything is what it should be."""
        return self._idle and self._leads and not self._touched and not self.unsettled

    def start(self) -> None:
        """Write from now on, whenever it leads."""
        self._task = supervise(self._run, name=f"{self._what}-writer")

    async def stop(self) -> None:
        """Write no more. May be repeated."""
        self._subscription.close()
        if self._task:
            await cancel_all([self._task])

    async def _run(self) -> None:
        await self._mesh.synced(self._made_from)
        while True:
            self._leads = False
            await self._leadership.elected()
            self._leads = True
            self._touched |= dict.fromkeys(self._all())
            while self._leadership.is_leader:
                await self._work_off()
                await self._something_to_do()

    async def _work_off(self) -> None:
        while self._touched and self._leadership.is_leader:
            await next_slice()
            self._idle = False
            subject = next(iter(self._touched))
            del self._touched[subject]
            await self._look_at(subject)
        self._idle = True

    async def _something_to_do(self) -> None:
        """Wait for a change, for what was put off, or for somebody else to lead."""
        put_off_s = self._pace.next_in_s()
        limit_s = _LOOK_S if put_off_s is None else min(_LOOK_S, put_off_s)
        self._touch.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._touch.wait()
        self._touched |= dict.fromkeys(self._pace.due())

    def _on_changes(self, changes: Sequence[Change]) -> None:
        # Whoever is elected looks at everything.
        if not self._leads:
            return
        self._touched |= dict.fromkeys(self._touched_by(changes))
        if self._touched:
            self._touch.set()

    async def _look_at(self, subject: S) -> None:
        # Also of what is not there: a kind may be away for a moment, while its definition is changed.
        if not self._pace.may_try(subject):
            return
        if self._differs(subject):
            await self._try_to_write(subject)
        else:
            self._pace.settled(subject)

    async def _try_to_write(self, subject: S) -> None:
        try:
            written = await self._write(subject)
        except ApiError as error:
            self._failed(subject, error)
            return
        self._problem = ""
        if written:
            logger.info("%s: wrote its %s", subject, self._what)
            self._counted.written.inc()
        # What the mesh knows of it may be older than what is there now: a later look tells.
        self._pace.tried(subject)

    def _failed(self, subject: S, error: ApiError) -> None:
        if error.status == HTTPStatus.NOT_FOUND:
            # It went; the mesh will know soon.
            self._pace.tried(subject)
            return
        self._counted.failed.inc()
        if str(error) != self._problem:
            logger.warning("%s: its %s cannot be written: %s", subject, self._what, error)
        self._problem = str(error)
        self._pace.tried(subject, pause_s=error.retry_after_s)
