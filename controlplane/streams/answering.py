"""Components that give standing answers about a mesh: what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import Kind, Mesh, MeshStore
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.controlplane.streams.watches import Answer, Watches

Q = TypeVar("Q", bound=Hashable)


def counted_watches(
    mesh: Mesh,
    *,
    name: str,
    needs: Sequence[Kind],
    answer: Callable[[Q, Mesh], Answer],
    metrics: CollectorRegistry,
) -> Watches[Q]:
    """Watches whose streams, open and ended for falling behind, are counted as `name`_subscribers and
    `name`_updates_queue_overflow.
    """
    overflows = Counter(
        f"{name}_updates_queue_overflow",
        f"Streams of {name} updates that were ended because their proxy did not keep up",
        registry=metrics,
    )
    watches: Watches[Q] = Watches(
        mesh, name=name, needs=needs, answer=answer, on_overflow=overflows.inc
    )
    streams = Gauge(f"{name}_subscribers", f"Open streams of {name} updates", registry=metrics)
    streams.set_function(lambda: watches.streams)
    return watches


class Answering(Generic[Q]):
    """Answers the questions of one kind from the mesh in `store`, until closed, each by one message that says
    all there is. `topics_of` says what a batch of changes may make different; `name` is that of its metrics.
    """

    def __init__(
        self,
        store: MeshStore,
        *,
        name: str,
        needs: Sequence[Kind],
        answer: Callable[[Q, Mesh], Answer],
        topics_of: Callable[[Sequence[Change]], Iterable[Topic]],
        metrics: CollectorRegistry,
    ) -> None:
        self._mesh = store.mesh
        self._needs = needs
        self._topics_of = topics_of
        self.watches = counted_watches(
            store.mesh, name=name, needs=needs, answer=answer, metrics=metrics
        )
        self._subscription = store.subscribe(self._on_changes)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return all(self._mesh.is_synced(kind) for kind in self._needs)

    async def synced(self) -> None:
        """Wait until it has: before that nobody knows what does not exist."""
        await self._mesh.synced(self._needs)

    async def now(self, question: Q) -> bytes:
        """What holds now. Raises what making an answer raises."""
        (message,) = await self.watches.snapshot(question)
        return message

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.watches.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        self.watches.touch(self._topics_of(changes))
