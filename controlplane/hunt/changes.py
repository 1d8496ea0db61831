"""What has changed in the mesh in the last minutes, as far as nobody else keeps it: who serves a service."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Endpoints, EndpointsKey, Key
from linkerd2_py.controlplane.mesh.store import MeshStore

MOST: Final = 1000
"""A mesh in which more changes is not explained by a list of it."""


class ChangedEndpoints(NamedTuple):
    """Pods that came to serve a port of a service, or ceased to, at a time of the calendar."""

    at: float
    service: EndpointsKey
    came: frozenset[Key]
    went: frozenset[Key]


class RecentChanges:
    """Follows a store from `start` to `stop`."""

    def __init__(self, store: MeshStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: deque[ChangedEndpoints] = deque(maxlen=MOST)

    @property
    def kept(self) -> Sequence[ChangedEndpoints]:
        """The newest, the oldest of them first."""
        return tuple(self._kept)

    def start(self) -> None:
        """From now on. What there is already is no change."""
        self._subscription = self._store.subscribe(self._on_changes)

    def stop(self) -> None:
        """Hear nothing more; what was heard is kept."""
        self._subscription.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            before, after = _serving(change.before), _serving(change.after)
            if isinstance(change.subject, Endpoints) and before != after:
                key = change.subject.key
                at = self._clock.wall()
                self._kept.append(ChangedEndpoints(at, key, after - before, before - after))


def _serving(found: object) -> frozenset[Key]:
    if not isinstance(found, Endpoints):
        return frozenset()
    return frozenset(one.pod for one in found.endpoints if one.pod and one.ready)
