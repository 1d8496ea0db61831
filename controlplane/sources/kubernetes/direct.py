"""Kinds that are objects of the mesh as they are, with nothing to be joined: from the API into the store."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import MeshObject
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.table import Table

T = TypeVar("T", bound=MeshObject)


class DirectKind(Generic[T]):
    """One kind of the mesh that is served under one or several names: an HTTPRoute is one of Gateway API or
    of Linkerd. It is published once all of them are listed.
    """

    def __init__(self, kind: type[T], *, store: MeshStore) -> None:
        self._kind = kind
        self._store = store
        self._parts: list[Table[Hashable, T]] = []

    def sink(self, read: Callable[[Json], T]) -> DirectSink[T]:
        """For one more name that the kind is served under. All are asked for before the first one tells
        anything.
        """
        part: Table[Hashable, T] = Table()
        self._parts.append(part)
        return DirectSink(self, part=part, read=read)

    def listed(self, part: Table[Hashable, T], changes: Iterable[Change]) -> None:
        """Everything under one name is known."""
        part.listed.set()
        if self._published:
            self.changed(changes)
        elif all(one.listed.is_set() for one in self._parts):
            self._store.replace({self._kind: [obj for one in self._parts for obj in one.values()]})

    def changed(self, changes: Iterable[Change]) -> None:
        """Publish changes, if anything is published yet."""
        if self._published:
            subjects = [(change.subject, change.after) for change in changes]
            self._store.apply(
                put=[after for _, after in subjects if after is not None],
                gone=[(self._kind, before.key) for before, after in subjects if after is None],
            )

    @property
    def _published(self) -> bool:
        return self._store.mesh.is_synced(self._kind)


class DirectSink(Generic[T]):
    """What a reflector tells of one name of a kind."""

    def __init__(
        self, kind: DirectKind[T], *, part: Table[Hashable, T], read: Callable[[Json], T]
    ) -> None:
        self._kind = kind
        self._part = part
        self._read = read

    def read(self, found: Json) -> T:
        """What is kept of it."""
        return self._read(found)

    def replace(self, objects: Sequence[T]) -> None:
        """These are all there are."""
        self._kind.listed(self._part, self._part.replace(objects))

    def put(self, found: T) -> None:
        """One more, or another in its place."""
        self._kind.changed(self._part.put(found))

    def remove(self, found: T) -> None:
        """One less."""
        self._kind.changed(self._part.drop(found.key))
