"""What the answer to a question has said so far: whoever asks it next begins with that, and after a
connection was lost it tells what became different meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, Self

from linkerd2_py.proto.gen import destination_pb2 as messages

Labels = tuple[tuple[str, str], ...]


class Memory(Protocol):
    """Of one answer."""

    def take(self, message: bytes) -> None:
        """The answer said this as well."""

    def snapshot(self) -> tuple[bytes, ...]:
        """Messages that say all of it; none where it has nothing to say."""

    def since(self, before: Self) -> tuple[bytes, ...]:
        """Messages that lead from `before` to this."""


class Latest:
    """Of an answer each of whose messages replaces the one before: profiles, policies."""

    def __init__(self) -> None:
        self._last: tuple[bytes, ...] = ()

    def take(self, message: bytes) -> None:
        self._last = (message,)

    def snapshot(self) -> tuple[bytes, ...]:
        return self._last

    def since(self, before: Latest) -> tuple[bytes, ...]:
        return () if self._last == before._last else self._last


class Endpoints:
    """Of `Get`: addresses that were added and not removed."""

    def __init__(self) -> None:
        # By address, each with the labels of the set it came in.
        self._added: dict[bytes, tuple[Labels, messages.WeightedAddr]] = {}
        self._none = b""
        self._snapshot: tuple[bytes, ...] | None = None

    def take(self, message: bytes) -> None:
        self._snapshot = None
        update = messages.Update.FromString(message)
        if update.HasField("add"):
            self._none = b""
            labels = tuple(sorted(update.add.metric_labels.items()))
            for one in update.add.addrs:
                self._added[_key(one)] = labels, one
        elif update.HasField("remove"):
            for address in update.remove.addrs:
                self._added.pop(address.SerializeToString(deterministic=True), None)
        else:
            self._added.clear()
            self._none = message

    def snapshot(self) -> tuple[bytes, ...]:
        if self._snapshot is None:
            self._snapshot = _adds(self._added.values()) or ((self._none,) if self._none else ())
        return self._snapshot

    def since(self, before: Endpoints) -> tuple[bytes, ...]:
        """Additions first: a set that has something in it is never empty in between."""
        if not self._added and self._none:
            return () if self._none == before._none else (self._none,)
        new = [one for key, one in self._added.items() if before._added.get(key) != one]
        gone = [one.addr for key, (_, one) in before._added.items() if key not in self._added]
        removed = messages.Update(remove=messages.AddrSet(addrs=gone)).SerializeToString()
        return (*_adds(new), removed) if gone else _adds(new)


def _key(one: messages.WeightedAddr) -> bytes:
    return one.addr.SerializeToString(deterministic=True)


def _adds(found: Iterable[tuple[Labels, messages.WeightedAddr]]) -> tuple[bytes, ...]:
    """One message for those of each set of labels: of nearly every answer, one in all."""
    sets: dict[Labels, messages.WeightedAddrSet] = {}
    for labels, one in found:
        if labels not in sets:
            sets[labels] = messages.WeightedAddrSet(metric_labels=dict(labels))
        sets[labels].addrs.append(one)
    updates = (messages.Update(add=one) for one in sets.values())
    return tuple(one.SerializeToString(deterministic=True) for one in updates)
