"""From the slices that are there to those that should be, with as few writes as that takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import Final, NamedTuple

from linkerd2_py.controlplane.external_workloads.wanted import Shape, Wanted
from linkerd2_py.controlplane.mesh.objects import Family, Key, Labels, Service
from linkerd2_py.controlplane.mesh.slices import (
    HEADLESS_LABEL,
    MANAGER,
    MANAGER_LABEL,
    SERVICE_LABEL,
    SliceEnd,
    WorkloadSlice,
    in_order,
)

LIMIT: Final = 100
"""How many a slice has at most, as Linkerd's."""
_RESERVED: Final = frozenset({SERVICE_LABEL, MANAGER_LABEL, HEADLESS_LABEL})
_DIGITS: Final = 10


class Edits(NamedTuple):
    """In the order in which they are made: nobody is missing in between."""

    create: tuple[WorkloadSlice, ...] = ()
    change: tuple[WorkloadSlice, ...] = ()
    delete: tuple[WorkloadSlice, ...] = ()

    def __bool__(self) -> bool:
        return any((self.create, self.change, self.delete))


def edits_of(
    service: Service, *, wanted: Wanted, held: Sequence[WorkloadSlice], limit: int = LIMIT
) -> Edits:
    """What makes the slices that are `held` for a service those that are `wanted`. What is of a service that
    had its name before goes.
    """
    own = {one.name: one for one in held if one.owner == service.uid}
    should: dict[str, WorkloadSlice] = {}
    for shape, ends in wanted.items():
        there = [one for one in own.values() if Shape(one.family, one.ports) == shape]
        shares, left = _shared_out(ends, among=there, limit=limit)
        should |= {name: replace(own[name], ends=ends) for name, ends in shares.items()}
        names = _names(service, family=shape.family, taken={*should, *(one.name for one in held)})
        for start in range(0, len(left), limit):
            one = _new(service, shape=shape, name=next(names), ends=left[start : start + limit])
            should[one.name] = one
    return _difference(_reusing(should, held=own), held=held, labels=_labels(service))


def _shared_out(
    ends: Mapping[Key, SliceEnd], *, among: Iterable[WorkloadSlice], limit: int
) -> tuple[dict[str, tuple[SliceEnd, ...]], list[SliceEnd]]:
    """What each slice has then, if anything, and who finds no place: each stays where it is, and the others
    go first to where something is written anyway, and there to the fullest.
    """
    slices = {one.name: one for one in among}
    rest, shares = dict(ends), {}
    for name, one in slices.items():
        stay = [end.workload for end in one.ends if end.workload in rest][:limit]
        shares[name] = [rest.pop(workload) for workload in dict.fromkeys(stay)]
    left = list(rest.values())
    for name in sorted(shares, key=lambda name: _order(slices[name], share=shares[name])):
        room = limit - len(shares[name])
        shares[name] += left[:room]
        left = left[room:]
    return {name: in_order(share) for name, share in shares.items() if share}, left


def _order(one: WorkloadSlice, *, share: list[SliceEnd]) -> tuple[bool, int, str]:
    return one.ends == in_order(share), -len(share), one.name


def _names(service: Service, *, family: Family, taken: set[str]) -> Iterator[str]:
    """Names that are free. Whoever does not see yet what is there makes the same one, and is refused."""
    for number in count():
        told = f"{service.uid}/{family}/{number}"
        name = f"linkerd-external-{service.name}-{sha256(told.encode()).hexdigest()[:_DIGITS]}"
        if name not in taken:
            yield name


def _new(service: Service, *, shape: Shape, name: str, ends: Iterable[SliceEnd]) -> WorkloadSlice:
    return WorkloadSlice(
        service.namespace,
        name,
        service.name,
        owner=service.uid,
        family=shape.family,
        ports=shape.ports,
        ends=in_order(ends),
    )


def _reusing(
    should: Mapping[str, WorkloadSlice], *, held: Mapping[str, WorkloadSlice]
) -> list[WorkloadSlice]:
    """With new slices in the place of those that would be deleted: only addresses of another family cannot
    be written there.
    """
    spare = [one for name, one in held.items() if name not in should]
    found = []
    for name, one in should.items():
        old = None if name in held else next((s for s in spare if s.family == one.family), None)
        if old:
            spare.remove(old)
            found.append(replace(old, ports=one.ports, ends=one.ends))
        else:
            found.append(one)
    return found


def _difference(
    should: Iterable[WorkloadSlice], *, held: Sequence[WorkloadSlice], labels: Labels
) -> Edits:
    # Labels that others have put there stay.
    named = {one.name: replace(one, labels={**one.labels, **labels}) for one in should}
    before = {one.name: one for one in held}
    return Edits(
        create=tuple(one for name, one in named.items() if name not in before),
        change=tuple(one for name, one in named.items() if name in before and before[name] != one),
        delete=tuple(one for name, one in before.items() if name not in named),
    )


def _labels(service: Service) -> Labels:
    own = {name: value for name, value in service.labels.items() if name not in _RESERVED}
    headless = {HEADLESS_LABEL: ""} if service.headless else {}
    return {**own, **headless, SERVICE_LABEL: service.name, MANAGER_LABEL: MANAGER}
