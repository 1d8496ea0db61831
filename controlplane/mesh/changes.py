"""What changed in the mesh, told to everybody in the same order.

Subscribers are called before `publish` returns or, when one of them causes a change itself, right after the
one it is being told of.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from linkerd2_py.base.tasks import report_failure
from linkerd2_py.controlplane.mesh.objects import MeshObject


@dataclass(frozen=True, slots=True)
class Change:
    """One object that came (`before` is None), went (`after` is None) or became different."""

    before: MeshObject | None
    after: MeshObject | None

    @property
    def subject(self) -> MeshObject:
        """The object the change is about, in its newest known form."""
        subject = self.after or self.before
        if subject is None:
            raise ValueError("a change has at least one side")
        return subject


OnChanges = Callable[[Sequence[Change]], None]


@dataclass(eq=False, slots=True)
class Subscription:
    """A place among those who are told."""

    _on_changes: OnChanges
    _peers: dict["Subscription", None] = field(repr=False)

    def deliver(self, changes: Sequence[Change]) -> None:
        """Tell the subscriber; its failure is its own and must not keep others from hearing."""
        try:
            self._on_changes(changes)
        except Exception as error:  # noqa: BLE001
            report_failure("mesh-subscriber", error)

    def close(self) -> None:
        """Hear nothing more. May be repeated."""
        self._peers.pop(self, None)


class Announcements:
    """Batches of changes, one after the other, to all who are subscribed."""

    def __init__(self) -> None:
        # In the order of their coming: everybody hears of a change before whatever it makes an earlier one
        # do.
        self._subscriptions: dict[Subscription, None] = {}
        self._pending: deque[Sequence[Change]] = deque()
        self._publishing = False

    def __len__(self) -> int:
        """How many are subscribed."""
        return len(self._subscriptions)

    def subscribe(self, on_changes: OnChanges) -> Subscription:
        """Be called with every later batch, until closed."""
        subscription = Subscription(on_changes, self._subscriptions)
        self._subscriptions[subscription] = None
        return subscription

    def publish(self, changes: Sequence[Change]) -> None:
        """Tell everybody, unless nothing changed."""
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
