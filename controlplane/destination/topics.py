"""What an answer depends on, so that a change recomputes only the answers it can touch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from linkerd2_py.controlplane.mesh.objects import (
    Change,
    Deployment,
    Key,
    MeshObject,
    Pod,
    Service,
)


class Topic(NamedTuple):
    """A kind of dependency and what it is on."""

    kind: str
    name: Key | str


def service_topic(service: Key) -> Topic:
    """A service's own definition."""
    return Topic("service", service)


def pods_topic(workload: Key) -> Topic:
    """The pods of a workload."""
    return Topic("pods", workload)


def callers_topic(workload: Key) -> Topic:
    """The services that lead to a workload."""
    return Topic("leads-to", workload)


def address_topic(ip: str) -> Topic:
    """The pod or the service that has an address, if any."""
    return Topic("address", ip)


def topics_of(changes: Sequence[Change]) -> frozenset[Topic]:
    """All that may be different after `changes`, both where things were and where they are."""
    return frozenset(_topics(changes))


def _topics(changes: Iterable[Change]) -> Iterator[Topic]:
    for change in changes:
        for side in (change.before, change.after):
            if side is not None:
                yield from _of_object(side)


def _of_object(subject: MeshObject) -> Iterator[Topic]:
    match subject:
        case Service():
            yield service_topic(subject.key)
            yield callers_topic(Key(subject.namespace, subject.workload))
            yield from map(address_topic, subject.ips)
        case Pod():
            yield pods_topic(subject.workload_key)
            yield from map(address_topic, subject.ips)
        case Deployment():
            return
