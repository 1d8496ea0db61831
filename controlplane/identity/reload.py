"""The issuer in force: a fixed one, or the one in files, exchanged when they are."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.edits import POLL_S
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.metrics import IdentityMetrics, IssuerEvent

OnIssuerEvent = Callable[[IssuerEvent, str], None]
"""Told of each event, in words."""

logger = logging.getLogger(__name__)


def nobody(_event: IssuerEvent, _news: str) -> None:
    """Who hears of events where nobody wants to."""


class CurrentIssuer(Protocol):
    """Where the certifier asks for what signs."""

    @property
    def issuer(self) -> Issuer:
        """The issuer in force now."""

    @property
    def problem(self) -> str:
        """Why a newer one is not in force; empty where there is none."""


@dataclass(frozen=True, slots=True)
class FixedIssuer:
    """One that lives as long as the process."""

    issuer: Issuer
    problem: str = ""


class FollowedIssuer:
    """Loads at once, `IssuerError` if that fails; `start` polls for changes from then on.

    A set that cannot be used is told in one line and counted, and the issuer before stays in force. It is
    tried again with every poll, for it may only be too early; it is told again only when there is something
    else to say.
    """

    def __init__(
        self,
        files: IssuerFiles,
        *,
        clock: Clock,
        metrics: IdentityMetrics,
        poll_s: float = POLL_S,
        on_event: OnIssuerEvent = nobody,
    ) -> None:
        self._files = files
        self._clock = clock
        self._metrics = metrics
        self._poll_s = poll_s
        self._on_event = on_event
        self._told_of_end: Issuer | None = None
        # Before the files are read: a later change is seen, whenever it comes.
        self._seen = self._loaded = files.stamps()
        self.problem = ""
        self._task: asyncio.Task[None] | None = None
        self.issuer = files.load(now=clock.wall())

    def start(self) -> None:
        """Poll in the background until `stop`."""
        self._task = supervise(self._watch, name="issuer-files")

    async def stop(self) -> None:
        """May be repeated."""
        if self._task:
            await cancel_all([self._task])

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            self._poll()
            self._look_at_end()

    def _poll(self) -> None:
        now = self._files.stamps()
        # Files are written one after another: a set that still changes is not read.
        is_settled, self._seen = now == self._seen, now
        if not is_settled:
            return
        if now == self._loaded:
            # The very files that are in force may be moved back.
            self.problem = ""
        else:
            self._load()

    def _load(self) -> None:
        try:
            issuer = self._files.load(now=self._clock.wall())
        except IssuerError as error:
            self._skip(str(error))
            return
        self.issuer = issuer
        self._loaded = self._seen
        self.problem = ""
        news = f"the issuer is now {issuer.name}, until {issuer.ends:%Y-%m-%dT%H:%M:%SZ}"
        logger.info("%s", news)
        self._tell(IssuerEvent.UPDATED, news)

    def _skip(self, problem: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        news = f"the issuer stays {self.issuer.name}: {problem}"
        logger.warning("%s", news)
        self._tell(IssuerEvent.SKIPPED, news)

    def _look_at_end(self) -> None:
        """Once for each issuer: no certificate is made from then on."""
        ends = self.issuer.ends
        if self._told_of_end is self.issuer or self._clock.wall() < ends.timestamp():
            return
        self._told_of_end = self.issuer
        news = f"the chain of the issuer {self.issuer.name} ended at {ends:%Y-%m-%dT%H:%M:%SZ}"
        logger.error("%s: no certificates are made any more", news)
        self._tell(IssuerEvent.FAILED, news)

    def _tell(self, event: IssuerEvent, news: str) -> None:
        self._metrics.count_issuer(event)
        self._on_event(event, news)
