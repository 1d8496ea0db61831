"""The objects of one kind by their keys, and indexes that are kept as they come and go."""

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import MeshObject

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)
T = TypeVar("T", bound=MeshObject)


class Index(Generic[V, T]):
    """The objects of a table by something that each has none, one or several of."""

    def __init__(self, values: Callable[[T], Collection[V]], *, held: Mapping[Hashable, T]) -> None:
        self._values = values
        self._held = held
        self._keys: dict[V, dict[Hashable, None]] = {}

    def __getitem__(self, value: V) -> list[T]:
        """Those that have it, in the order of their coming; none is no error."""
        return [self._held[key] for key in self._keys.get(value, ())]

    def follow(self, key: Hashable, *, before: T | None, after: T | None) -> None:
        """Take up a change of the object `key`."""
        old: Collection[V] = () if before is None else self._values(before)
        new: Collection[V] = () if after is None else self._values(after)
        if old == new:
            return
        for value in new:
            if value not in old:
                self._keys.setdefault(value, {})[key] = None
        for value in old:
            if value not in new:
                self._forget(value, key=key)

    def _forget(self, value: V, *, key: Hashable) -> None:
        keys = self._keys[value]
        keys.pop(key, None)
        if not keys:
            del self._keys[value]


class Table(Mapping[K, T]):
    """One kind of objects. Everybody reads it; only the store that it is part of writes."""

    def __init__(self) -> None:
        self._held: dict[Hashable, T] = {}
        self._indexes: list[Index[Hashable, T]] = []
        # Set once a source has said all there is: what is not here before that may exist all the same.
        self.listed = asyncio.Event()

    def __getitem__(self, key: K) -> T:
        return self._held[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._held)  # type: ignore[arg-type]  # every key is one of an object

    def __len__(self) -> int:
        return len(self._held)

    def index(self, values: Callable[[T], Collection[V]]) -> Index[V, T]:
        """Find objects also by these values of theirs, from now on; for a table that is empty still."""
        index: Index[V, T] = Index(values, held=self._held)
        self._indexes.append(index)  # type: ignore[arg-type]  # whatever it finds by
        return index

    def put(self, obj: T) -> list[Change]:
        """Hold it; nothing has changed when it is equal to what was held."""
        before = self._held.get(obj.key)
        if before == obj:
            return []
        return self._change(obj.key, before=before, after=obj)

    def drop(self, key: Hashable) -> list[Change]:
        """Hold it no longer; nothing has changed when there is none of that key."""
        before = self._held.get(key)
        return [] if before is None else self._change(key, before=before, after=None)

    def replace(self, objects: Iterable[T]) -> list[Change]:
        """Hold exactly these."""
        wanted = {obj.key: obj for obj in objects}
        gone = [key for key in self._held if key not in wanted]
        changes = [change for key in gone for change in self.drop(key)]
        for obj in wanted.values():
            changes += self.put(obj)
        return changes

    def _change(self, key: Hashable, *, before: T | None, after: T | None) -> list[Change]:
        for index in self._indexes:
            index.follow(key, before=before, after=after)
        if after is None:
            del self._held[key]
        else:
            self._held[key] = after
        return [Change(before, after)]
