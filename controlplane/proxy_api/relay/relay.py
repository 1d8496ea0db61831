"""Asks destination every question once, for as long as somebody asks it here, and tells all of them what it
answers.

A connection that is lost ends nobody's stream: what was said last holds until destination says all of it
again, and then everybody is told what became different.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import grpc

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import supervise
from linkerd2_py.controlplane.proxy_api.relay.links import Links
from linkerd2_py.controlplane.proxy_api.relay.memory import Memory
from linkerd2_py.controlplane.proxy_api.relay.questions import STANDING, Question
from linkerd2_py.controlplane.proxy_api.streaming import RELAYED, SNAPSHOT
from linkerd2_py.controlplane.streams.stream import UpdateStream, batched, push_all
from linkerd2_py.controlplane.streams.watches import FANNED_OUT_AT_ONCE

logger = logging.getLogger(__name__)

PAUSES: Final = BackoffRange(min_s=0.1, max_s=5.0, jitter=1.0)
"""Before a question is asked again; its jitter spreads them when a destination comes back."""
REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNKNOWN,
    }
)
"""What is said of a question; everything else is said of a connection, or of the moment."""


class RefusedError(Exception):
    """Destination does not answer this."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code


class _CutError(Exception):
    """The answer ended before all of it was said."""


class _Asked:
    """One question, and who asks it."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.standing = STANDING[question.method]
        self.memory: Memory = self.standing.memory()
        self.streams: dict[UpdateStream, None] = {}
        self.refused: RefusedError | None = None
        # Whether anything was answered yet, and how many wait for it.
        self.answered = asyncio.Event()
        self.waiting = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def is_wanted(self) -> bool:
        return bool(self.streams or self.waiting)


class Relay:
    """Standing questions, answered by whoever is at the other end of `links`."""

    def __init__(self, links: Links, *, on_overflow: Callable[[], None]) -> None:
        self._links = links
        self._on_overflow = on_overflow
        self._asked: dict[Question, _Asked] = {}
        self._closed = False

    @property
    def questions(self) -> int:
        """How many different ones are asked."""
        return len(self._asked)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(len(asked.streams) for asked in self._asked.values())

    async def subscribe(self, question: Question) -> UpdateStream:
        """A stream that begins with all that is known, once anything is; give it back with `unsubscribe`.
        Raises `RefusedError`.
        """
        asked = self._asked.get(question) or self._begin(question)
        asked.waiting += 1
        try:
            await asked.answered.wait()
            if asked.refused:
                raise asked.refused
            stream = UpdateStream()
            stream.push(asked.memory.snapshot())
            asked.streams[stream] = None
        finally:
            asked.waiting -= 1
            self._forget_unwanted(asked)
        if self._closed:
            stream.close()
        return stream

    def unsubscribe(self, question: Question, *, stream: UpdateStream) -> None:
        """Forget a stream, and the question with its last one. May be repeated."""
        asked = self._asked.get(question)
        if asked is not None:
            asked.streams.pop(stream, None)
            self._forget_unwanted(asked)

    def close(self) -> None:
        """Ask nothing more and end every stream. May be repeated."""
        self._closed = True
        for asked in self._asked.values():
            _stop(asked)
            for stream in asked.streams:
                stream.close()
            # Who waits still gets an end, too.
            asked.answered.set()

    def _begin(self, question: Question) -> _Asked:
        asked = self._asked[question] = _Asked(question)
        if self._closed:
            asked.answered.set()
        else:
            asked.task = supervise(lambda: self._ask(asked), name=f"relay {question.method}")
        return asked

    def _forget_unwanted(self, asked: _Asked) -> None:
        if not asked.is_wanted and self._asked.get(asked.question) is asked:
            del self._asked[asked.question]
            _stop(asked)

    async def _ask(self, asked: _Asked) -> None:
        """Again and again, until cancelled."""
        backoff = Backoff(PAUSES, source=unit_random, clock=SystemClock())
        while True:
            backoff.begin()
            try:
                await self._listen(asked, backoff=backoff)
            except grpc.aio.AioRpcError as error:
                await self._lost(asked, error)
            except _CutError:
                logger.debug("%s: the answer was cut", asked.question.method)
            await asyncio.sleep(backoff.next_delay_s())

    async def _listen(self, asked: _Asked, *, backoff: Backoff) -> None:
        with self._links.use() as channel:
            method = channel.unary_stream(asked.question.method)
            call = method(asked.question.request, metadata=((RELAYED, "1"),))
            try:
                await self._take_snapshot(asked, call)
                backoff.reset()
                while (message := await call.read()) is not grpc.aio.EOF:
                    asked.memory.take(message)
                    await self._fan_out(asked, (message,))
            finally:
                call.cancel()

    async def _take_snapshot(
        self, asked: _Asked, call: grpc.aio.UnaryStreamCall[bytes, bytes]
    ) -> None:
        """All that is so now, as many messages as it is said to be; others than ours begin with one."""
        said = dict(await call.initial_metadata() or ())
        fresh = asked.standing.memory()
        for _ in range(int(said.get(SNAPSHOT, 1))):
            message = await call.read()
            if message is grpc.aio.EOF:
                raise _CutError
            fresh.take(message)
        before, asked.memory, asked.refused = asked.memory, fresh, None
        asked.answered.set()
        await self._fan_out(asked, fresh.since(before))

    async def _lost(self, asked: _Asked, error: grpc.aio.AioRpcError) -> None:
        logger.debug("%s: %s", asked.question.method, error.details())
        if error.code() not in REFUSALS:
            return
        asked.refused = RefusedError(error.code(), error.details() or "")
        asked.answered.set()
        if asked.standing.lost_is_empty and error.code() is grpc.StatusCode.NOT_FOUND:
            before, asked.memory = asked.memory, asked.standing.memory()
            await self._fan_out(asked, asked.memory.since(before))

    async def _fan_out(self, asked: _Asked, messages: Sequence[bytes]) -> None:
        """To those who are there now: who comes later begins with it."""
        for some in batched(tuple(asked.streams) if messages else (), FANNED_OUT_AT_ONCE):
            here = [stream for stream in some if stream in asked.streams]
            for slow in push_all(here, messages):
                asked.streams.pop(slow, None)
                self._on_overflow()
            await asyncio.sleep(0)


def _stop(asked: _Asked) -> None:
    if asked.task:
        asked.task.cancel()
