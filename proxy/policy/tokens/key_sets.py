"""The keys of issuers, fetched when tokens ask for them, and kept: what cannot be fetched takes nothing away.

Nobody asks for keys that no token needs. Those that are older than they should be are fetched beside traffic;
those that are much older, or that a token names and nobody has seen, are waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proxy.policy.kinds_of_tokens import KeySource
from linkerd2_py.proxy.policy.tokens.fetch import FetchError, fetch
from linkerd2_py.proxy.policy.tokens.keys import LARGEST_SET, Keys, read_keys

logger = logging.getLogger(__name__)

EARLY_S: Final = 5.0
"""Tokens with keys that nobody knows make us ask again no more often than this."""
FILE_S: Final = 5.0
"""So often a file is looked at: that costs its issuer nothing."""
_STALE: Final = 2
"""Keys that are older than so many times what they should be are not used before they were asked for."""
_BACKOFF: Final = BackoffRange(min_s=1.0, max_s=60.0, jitter=0.5)

Count = Callable[[str], None]
"""Called with what became of a try: `success` or `failure`."""


class Waiting(Protocol):
    """Who works by keys."""

    def forget(self) -> None:
        """They are others now."""

    def resume(self) -> None:
        """A try is over."""


class KeySet:
    """From one source, for all `users` of it."""

    def __init__(self, source: KeySource, *, clock: Clock, count: Count) -> None:
        self.keys: Keys | None = None
        self.users: list[Waiting] = []
        self._source = source
        self._clock = clock
        self._count = count
        self._backoff = Backoff(_BACKOFF, source=unit_random, clock=clock)
        self._text: bytes | None = None
        self._fetched = self._tried = float("-inf")
        self._not_before = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_awaited(self) -> bool:
        """Whether what comes next may be other keys."""
        return self._task is not None

    def use(self) -> bool:
        """Whether the keys that are there may be used now, whatever they are; else the end of a try is worth
        waiting for.
        """
        age = self._clock.monotonic() - self._fetched
        refresh_s = min(self._source.refresh_s, FILE_S) if self._is_file else self._source.refresh_s
        if self._is_fixed and self._text is not None:
            return True
        if age >= refresh_s:
            self._try()
        return not (self.is_awaited and (self.keys is None or age >= _STALE * refresh_s))

    def miss(self) -> bool:
        """A token names a key that is not there: whether other keys are on their way now."""
        now = self._clock.monotonic()
        if not self._is_fixed and now - self._tried >= EARLY_S:
            self._try()
        return self.is_awaited

    def close(self) -> None:
        """Ask no more. Idempotent."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def settled(self) -> None:
        """After `close`: until nobody is being asked."""
        if self._task is not None:
            await asyncio.wait([self._task])

    @property
    def _is_fixed(self) -> bool:
        return self._source.kind == "jwks"

    @property
    def _is_file(self) -> bool:
        return self._source.kind == "file"

    def _try(self) -> None:
        now = self._clock.monotonic()
        if self._task is not None or self._closed or now < self._not_before:
            return
        self._tried = now
        if self._source.kind == "url":
            self._backoff.begin()
            self._task = spawn(self._get_keys(), name=f"jwks {self._source}")
            self._task.add_done_callback(self._over)
        else:
            self._take(self._read)

    async def _get_keys(self) -> None:
        try:
            text = await fetch(self._source.said)
        except FetchError as error:
            self._fail(str(error))
        else:
            self._take(lambda: text)

    def _over(self, _: asyncio.Task[None]) -> None:
        """However it ended, and if it never began."""
        self._task = None
        for one in self.users:
            one.resume()

    def _read(self) -> bytes:
        return self._source.said.encode() if self._is_fixed else _file(self._source.said)

    def _take(self, read: Callable[[], bytes]) -> None:
        try:
            text = read()
            if text != self._text:
                self._change(text)
        except (OSError, ValueError) as error:
            self._fail(str(error))
            return
        self._fetched = self._clock.monotonic()
        self._backoff.reset()
        self._count("success")

    def _change(self, text: bytes) -> None:
        keys, left_out = read_keys(text)
        self.keys, self._text = keys, text
        for problem in left_out:
            logger.warning("keys of %s: left out: %s", self._source, problem)
        logger.info("keys of %s: %d", self._source, len(keys))
        for one in self.users:
            one.forget()

    def _fail(self, reason: str) -> None:
        self._not_before = self._clock.monotonic() + self._backoff.next_delay_s()
        self._count("failure")
        kept = "none are known" if self.keys is None else "those that are known are kept"
        logger.warning("keys of %s: %s; %s", self._source, reason, kept)


def _file(path: str) -> bytes:
    """A regular file, and not too much of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        found = bytearray()
        while len(found) <= LARGEST_SET and (part := os.read(descriptor, LARGEST_SET + 1)):
            found += part
        return bytes(found)
    finally:
        os.close(descriptor)
