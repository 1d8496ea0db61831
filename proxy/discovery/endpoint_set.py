"""The set that a stream of updates describes, by the API's rules of order.

After a (re)connect the first non-empty Add replaces the set and a Remove that comes before it is
ignored; removing the last address is the same as an answer that none exist. Known endpoints stay while
there is no stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery import translate
from linkerd2_py.proxy.discovery.translate import Endpoint


class Replaced(NamedTuple):
    """The set is exactly this."""

    endpoints: tuple[Endpoint, ...]


class Added(NamedTuple):
    """These joined or changed."""

    endpoints: tuple[Endpoint, ...]


class Removed(NamedTuple):
    """These left; others stayed."""

    addresses: tuple[SocketAddr, ...]


class Emptied(NamedTuple):
    """None are left; `exists` is false when the name itself is unknown."""

    exists: bool


Change = Replaced | Added | Removed | Emptied


class EndpointSet:
    """The state of one `Get`, over all its reconnects. `on_skipped` counts unusable addresses."""

    __slots__ = ("_awaits_snapshot", "_known", "_on_skipped", "answered")

    def __init__(self, *, on_skipped: Callable[[int], None]) -> None:
        self._known: dict[SocketAddr, Endpoint] = {}
        self._awaits_snapshot = True
        self._on_skipped = on_skipped
        self.answered = False

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The set as it is now known."""
        return tuple(self._known.values())

    def reconnected(self) -> None:
        """A new stream begins: what it adds first is the whole set."""
        self._awaits_snapshot = True

    def apply(self, update: destination.Update) -> Change | None:
        """What the update changes; None for one that says nothing."""
        kind = update.WhichOneof("update")
        if kind == "add":
            return self._add(update.add)
        if kind == "remove":
            return self._remove(update.remove)
        if kind == "no_endpoints":
            return self._empty(exists=update.no_endpoints.exists)
        return None

    def _add(self, message: destination.WeightedAddrSet) -> Change | None:
        usable, skipped = translate.endpoints(message)
        self._count(skipped)
        if not usable:
            return None
        if not self._awaits_snapshot:
            self._known.update((one.address, one) for one in usable)
            return Added(usable)
        self._awaits_snapshot, self.answered = False, True
        self._known = {one.address: one for one in usable}
        return Replaced(self.endpoints)

    def _remove(self, message: destination.AddrSet) -> Change | None:
        usable, skipped = translate.addresses(message)
        self._count(skipped)
        gone = tuple(address for address in usable if address in self._known)
        if self._awaits_snapshot or not gone:
            return None
        for address in gone:
            self._known.pop(address, None)
        return Removed(gone) if self._known else Emptied(exists=True)

    def _empty(self, *, exists: bool) -> Change:
        self._awaits_snapshot, self.answered = False, True
        self._known = {}
        return Emptied(exists=exists)

    def _count(self, skipped: int) -> None:
        if skipped:
            self._on_skipped(skipped)
