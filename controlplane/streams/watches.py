"""One answer for each question that somebody has subscribed to, refreshed when a change touches it.

Nothing here takes a turn of the event loop for long. A change only marks the answers that it touches; they
are refreshed in slices, each from the mesh as it is then, so that changes which follow each other closely
make one refresh. What an answer says then goes to its subscribers some at a time. One task does all of it,
one thing after the other: every subscriber gets every message, in order.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from linkerd2_py.base.slices import next_slice
from linkerd2_py.base.tasks import report_failure, spawn
from linkerd2_py.controlplane.mesh.store import Kind, Mesh
from linkerd2_py.controlplane.streams.stream import UpdateStream, batched, push_all
from linkerd2_py.controlplane.streams.topics import Topic, TopicIndex

FANNED_OUT_AT_ONCE: Final = 50
"""Streams that get a message in one turn: whoever is on a connection of its own costs a system call of it."""

Q = TypeVar("Q", bound=Hashable)


class OutdatedError(Exception):
    """A question does not say any more what its answer depends on: whoever asks it is to ask anew."""


class Answer(Protocol):
    """What is known of one question."""

    @property
    def depends_on(self) -> frozenset[Topic]:
        """What may change it."""

    def snapshot(self) -> tuple[bytes, ...]:
        """The messages a new stream begins with. What it raises is told to who asks, and to nobody else."""

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        """Take up the mesh as it is now; the messages that say what changed."""


@dataclass(slots=True)
class _Watch:
    answer: Answer
    streams: dict[UpdateStream, None] = field(default_factory=dict)
    # What a stream that comes now begins with; made for the first that does after a change.
    first: tuple[bytes, ...] = ()

    def begin(self) -> tuple[bytes, ...]:
        self.first = self.first or self.answer.snapshot()
        return self.first


class _News(NamedTuple):
    """What is still to be told, and whom: those who come later begin with it."""

    messages: tuple[bytes, ...]
    watch: _Watch
    streams: tuple[UpdateStream, ...]


class Watches(Generic[Q]):
    """The answers to one kind of questions about `mesh`, which are made from objects of the kinds `needs`."""

    def __init__(
        self,
        mesh: Mesh,
        *,
        name: str,
        needs: Sequence[Kind],
        answer: Callable[[Q, Mesh], Answer],
        on_overflow: Callable[[], None],
    ) -> None:
        self._mesh = mesh
        self._name = name
        self._needs = needs
        self._answer = answer
        self._on_overflow = on_overflow
        self._watches: dict[Q, _Watch] = {}
        self._index: TopicIndex[Q] = TopicIndex()
        # Questions whose answers a change has touched, in that order.
        self._touched: dict[Q, None] = {}
        self._news: deque[_News] = deque()
        self._working: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._closed = False

    @property
    def questions(self) -> int:
        """How many different questions are asked."""
        return len(self._watches)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(len(watch.streams) for watch in self._watches.values())

    async def subscribe(self, question: Q) -> UpdateStream:
        """A stream that begins with a snapshot, once all that it is made from has been listed; give it back
        with `unsubscribe`. Raises what its answer does.
        """
        await self._ready(question)
        watch = self._current(question) or self._begin(question)
        first = watch.begin()
        stream = UpdateStream()
        stream.push(first)
        if self._closed:
            stream.close()
        watch.streams[stream] = None
        return stream

    def unsubscribe(self, question: Q, *, stream: UpdateStream) -> None:
        """Forget a stream, and the question with its last one. May be repeated."""
        watch = self._watches.get(question)
        if watch is None:
            return
        watch.streams.pop(stream, None)
        if not watch.streams:
            self._forget(question)

    async def snapshot(self, question: Q) -> tuple[bytes, ...]:
        """What a new stream would begin with."""
        await self._ready(question)
        watch = self._current(question)
        return watch.begin() if watch else self._answer(question, self._mesh).snapshot()

    def touch(self, topics: Iterable[Topic]) -> None:
        """Refresh, soon, the answers that depend on any of these."""
        self._touched |= self._index.touched(topics)
        if self._touched and (self._working is None or self._working.done()):
            self._working = spawn(self._work_off(), name=self._name)

    async def settled(self) -> None:
        """Wait until every subscriber has been told of the changes that there were."""
        while self._working is not None and not self._working.done():
            await asyncio.wait([self._working])

    def close(self) -> None:
        """Refresh nothing more and end every stream."""
        self._closed = True
        self._touched.clear()
        for watch in self._watches.values():
            for stream in watch.streams:
                stream.close()

    async def _ready(self, question: Q) -> None:
        """Wait until the question may be answered: nobody knows what there is not before it has been listed,
        and a thousand proxies that ask at once each have something new to ask.
        """
        await self._mesh.synced(self._needs)
        if question not in self._watches or question in self._touched:
            # One at a time, for each that waited for its slice would take part in every turn.
            async with self._asking:
                await next_slice()

    def _current(self, question: Q) -> _Watch | None:
        """The watch that there is, at the mesh as it is now."""
        if question in self._touched:
            self._catch_up(question)
        return self._watches.get(question)

    def _begin(self, question: Q) -> _Watch:
        answer = self._answer(question, self._mesh)
        watch = _Watch(answer)
        # An answer that cannot be given is not kept.
        watch.begin()
        self._index.follow(question, topics=answer.depends_on)
        self._watches[question] = watch
        return watch

    def _forget(self, question: Q) -> _Watch:
        self._index.forget(question)
        self._touched.pop(question, None)
        return self._watches.pop(question)

    def _catch_up(self, question: Q) -> None:
        """Let the answer be what the mesh is now; who was subscribed before is told next."""
        self._touched.pop(question, None)
        watch = self._watches[question]
        try:
            messages = watch.answer.refresh(self._mesh)
            self._index.follow(question, topics=watch.answer.depends_on)
        except Exception as error:  # noqa: BLE001  # one answer spoils its own streams only
            if not isinstance(error, OutdatedError):
                report_failure(f"{self._name} {question}", error)
            # They are not told what holds any more; who asks again begins with a fresh answer.
            for stream in self._forget(question).streams:
                stream.close()
            return
        # Also where subscribers are told nothing, who comes now may be told otherwise.
        watch.first = ()
        if messages:
            self._news.append(_News(messages, watch, tuple(watch.streams)))

    async def _work_off(self) -> None:
        while self._news or self._touched:
            if self._news:
                await self._fan_out(self._news.popleft())
                continue
            await next_slice()
            # Meanwhile somebody may have asked for it, or everybody may have left.
            if self._touched:
                self._catch_up(next(iter(self._touched)))

    async def _fan_out(self, news: _News) -> None:
        for some in batched(news.streams, FANNED_OUT_AT_ONCE):
            here = [stream for stream in some if stream in news.watch.streams]
            for slow in push_all(here, news.messages):
                # Its end reaches the proxy once it reads again; until then it must cost nothing.
                news.watch.streams.pop(slow, None)
                self._on_overflow()
            await asyncio.sleep(0)
