"""The registry: holds the mesh, tells its subscribers of every change, in order.

It belongs to one event loop and takes no locks: a source applies, subscribers are called before `apply` returns
(or, when a subscriber itself applies, right after the change it is being told of).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from linkerd2_py.base.tasks import report_failure
from linkerd2_py.controlplane.mesh.objects import (
    Change,
    Deployment,
    Key,
    Mesh,
    MeshObject,
    Pod,
    Service,
)

OnChanges = Callable[[Sequence[Change]], None]
Kind = type[Service] | type[Pod] | type[Deployment]
T = TypeVar("T", Service, Pod, Deployment)


@dataclass(eq=False, slots=True)
class Subscription:
    """A place on the registry's list: `snapshot` is what held when it was taken."""

    snapshot: Mesh
    _on_changes: OnChanges
    _peers: dict["Subscription", None] = field(repr=False)

    def deliver(self, changes: Sequence[Change]) -> None:
        """Tell the subscriber; its failure is its own and must not keep others from hearing."""
        try:
            self._on_changes(changes)
        except Exception as error:  # noqa: BLE001
            report_failure("registry-subscriber", error)

    def close(self) -> None:
        """Hear nothing more. May be repeated."""
        self._peers.pop(self, None)


class Registry:
    """Typed objects by kind and key, with subscribers."""

    def __init__(self) -> None:
        self._services: dict[Key, Service] = {}
        self._pods: dict[Key, Pod] = {}
        self._deployments: dict[Key, Deployment] = {}
        # In the order of their coming: everybody hears of a change before whatever it makes an earlier one do.
        self._subscriptions: dict[Subscription, None] = {}
        self._pending: deque[Sequence[Change]] = deque()
        self._publishing = False

    @property
    def mesh(self) -> Mesh:
        """What holds now, as a live read-only view; `subscribe` gives a copy that stays as it is."""
        return Mesh(
            services=MappingProxyType(self._services),
            pods=MappingProxyType(self._pods),
            deployments=MappingProxyType(self._deployments),
        )

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    def subscribe(self, on_changes: OnChanges) -> Subscription:
        """Take a snapshot and be called with every later batch of changes, until closed."""
        snapshot = Mesh(
            services=dict(self._services),
            pods=dict(self._pods),
            deployments=dict(self._deployments),
        )
        subscription = Subscription(snapshot, on_changes, self._subscriptions)
        self._subscriptions[subscription] = None
        return subscription

    def apply(
        self,
        *,
        services: Iterable[Service] | None = None,
        pods: Iterable[Pod] | None = None,
        deployments: Iterable[Deployment] | None = None,
    ) -> None:
        """Make each kind that is given hold exactly these objects; publish the difference as one batch.

        A kind that is not given stays as it is. Objects that are equal to what is held cause nothing.
        """
        changes: list[Change] = []
        if deployments is not None:
            changes += _replace(self._deployments, deployments)
        if services is not None:
            changes += _replace(self._services, services)
        if pods is not None:
            changes += _replace(self._pods, pods)
        self._publish(changes)

    def put(self, obj: MeshObject) -> None:
        """Add one object, or replace the one of its kind and key."""
        match obj:
            case Service():
                self._publish(_put(self._services, obj))
            case Pod():
                self._publish(_put(self._pods, obj))
            case Deployment():
                self._publish(_put(self._deployments, obj))

    def remove(self, kind: Kind, *, key: Key) -> None:
        """Drop one object; nothing happens when there is none of that key."""
        gone: MeshObject | None
        if kind is Service:
            gone = self._services.pop(key, None)
        elif kind is Pod:
            gone = self._pods.pop(key, None)
        else:
            gone = self._deployments.pop(key, None)
        if gone is not None:
            self._publish([Change(before=gone, after=None)])

    def _publish(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        self._pending.append(changes)
        # A subscriber that applies must not let its change overtake the one being delivered.
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._pending:
                self._deliver(self._pending.popleft())
        finally:
            self._publishing = False

    def _deliver(self, batch: Sequence[Change]) -> None:
        for subscription in tuple(self._subscriptions):
            # A subscriber that was told before this one may have closed it.
            if subscription in self._subscriptions:
                subscription.deliver(batch)


def _put(held: dict[Key, T], obj: T) -> list[Change]:
    before = held.get(obj.key)
    if before == obj:
        return []
    held[obj.key] = obj
    return [Change(before=before, after=obj)]


def _replace(held: dict[Key, T], objects: Iterable[T]) -> list[Change]:
    wanted = {obj.key: obj for obj in objects}
    gone = [key for key in held if key not in wanted]
    changes = [Change(before=held.pop(key), after=None) for key in gone]
    for obj in wanted.values():
        changes += _put(held, obj)
    return changes
