"""Answers shared by their subscribers: computed once a change, encoded once, fanned out as the same bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from linkerd2_py.base.tasks import report_failure
from linkerd2_py.controlplane.destination import translator
from linkerd2_py.controlplane.destination.endpoints import resolve
from linkerd2_py.controlplane.destination.profiles import profile
from linkerd2_py.controlplane.destination.stream import UpdateStream
from linkerd2_py.controlplane.destination.targets import ServiceTarget, Target
from linkerd2_py.controlplane.destination.topics import Topic, topics_of
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Endpoints, MeshObject, Pod, Service
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore

ANSWERED_FROM: Final[tuple[type[MeshObject], ...]] = (Service, Endpoints, Pod)
"""The kinds that answers are made from."""


class NotSyncedError(Exception):
    """Not everything has been listed yet, so nobody may be told what there is not."""


class Answer(Protocol):
    """What is known of one target."""

    @property
    def depends_on(self) -> frozenset[Topic]:
        """What may change it."""

    def snapshot(self) -> tuple[bytes, ...]:
        """The messages a new stream begins with; never none."""

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        """Take up the mesh as it is now; the messages that say what changed."""


class EndpointsAnswer:
    """The endpoints of a service port, for `Get`."""

    def __init__(self, target: ServiceTarget, *, mesh: Mesh) -> None:
        self._target = target
        self._endpoints = resolve(target, mesh=mesh)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._endpoints.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        return translator.snapshot(self._endpoints, service=self._target.service)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before, self._endpoints = self._endpoints, resolve(self._target, mesh=mesh)
        return translator.difference(before, after=self._endpoints, service=self._target.service)


class ProfileAnswer:
    """The profile of a target, for `GetProfile`."""

    def __init__(self, target: Target, *, mesh: Mesh) -> None:
        self._target = target
        self._profile = profile(target, mesh=mesh)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._profile.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        return (self._profile.encoded,)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before, self._profile = self._profile, profile(self._target, mesh=mesh)
        return () if before.encoded == self._profile.encoded else (self._profile.encoded,)


T = TypeVar("T", bound=Target)


@dataclass(slots=True)
class _Watch:
    answer: Answer
    first: tuple[bytes, ...]
    streams: set[UpdateStream] = field(default_factory=set)


class Watches(Generic[T]):
    """One answer for each target that somebody is subscribed to."""

    def __init__(
        self,
        store: MeshStore,
        *,
        answer: Callable[[T, Mesh], Answer],
        on_overflow: Callable[[], None],
    ) -> None:
        self._store = store
        self._answer = answer
        self._on_overflow = on_overflow
        self._watches: dict[T, _Watch] = {}
        self._subscription = store.subscribe(self._on_changes)

    @property
    def targets(self) -> int:
        """How many different targets are watched."""
        return len(self._watches)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(len(watch.streams) for watch in self._watches.values())

    def subscribe(self, target: T) -> UpdateStream:
        """A stream that begins with a snapshot; give it back with `unsubscribe`. `NotSyncedError` before everything is listed."""
        watch = self._watches.get(target)
        if watch is None:
            answer = self._first(target)
            watch = self._watches[target] = _Watch(answer, answer.snapshot())
        stream = UpdateStream()
        stream.push(watch.first)
        watch.streams.add(stream)
        return stream

    def unsubscribe(self, target: T, *, stream: UpdateStream) -> None:
        """Forget a stream, and the target with its last one. May be repeated."""
        watch = self._watches.get(target)
        if watch is None:
            return
        watch.streams.discard(stream)
        if not watch.streams:
            del self._watches[target]

    def snapshot(self, target: T) -> tuple[bytes, ...]:
        """What a new stream would begin with. `NotSyncedError` before everything is listed."""
        watch = self._watches.get(target)
        if watch is not None:
            return watch.first
        return self._first(target).snapshot()

    def close(self) -> None:
        """Hear no more changes and end every stream."""
        self._subscription.close()
        for watch in self._watches.values():
            for stream in watch.streams:
                stream.close()

    def _first(self, target: T) -> Answer:
        mesh = self._store.mesh
        if not all(mesh.is_synced(kind) for kind in ANSWERED_FROM):
            raise NotSyncedError
        return self._answer(target, mesh)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        mesh = self._store.mesh
        touched = topics_of(changes, mesh=mesh)
        for target, watch in tuple(self._watches.items()):
            if touched.isdisjoint(watch.answer.depends_on):
                continue
            try:
                self._refresh(watch, mesh=mesh)
            except Exception as error:  # noqa: BLE001  # one answer spoils its own streams only
                report_failure(f"destination {target}", error)
                self._drop(target)

    def _drop(self, target: T) -> None:
        """End the streams of an answer that is not what the mesh is any more; who asks again begins with a fresh one."""
        for stream in self._watches.pop(target).streams:
            stream.close()

    def _refresh(self, watch: _Watch, *, mesh: Mesh) -> None:
        messages = watch.answer.refresh(mesh)
        if not messages:
            return
        watch.first = watch.answer.snapshot()
        for stream in tuple(watch.streams):
            stream.push(messages)
            if stream.overflowed:
                # Its end reaches the proxy once it reads again; until then it must cost nothing.
                watch.streams.discard(stream)
                self._on_overflow()
