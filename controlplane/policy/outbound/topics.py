"""What outbound policies depend on, and what of that a change may touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import Service
from linkerd2_py.controlplane.mesh.routes import Object, Route
from linkerd2_py.controlplane.streams.topics import Topic


def address_topic(ip: str) -> Topic:
    """The service that has an address, if any."""
    return Topic("address", ip)


def object_topic(found: Object) -> Topic:
    """A service or an egress network, and whether there is one."""
    return Topic("object", found)


def routes_topic(parent: Object) -> Topic:
    """The routes that name it as their parent."""
    return Topic("routes", parent)


def networks_topic(namespace: str) -> Topic:
    """The egress networks of a namespace."""
    return Topic("networks", namespace)


def topics_of(changes: Sequence[Change]) -> frozenset[Topic]:
    """All that may be different after `changes`, both where things were and where they are."""
    return frozenset(_topics(changes))


def _topics(changes: Iterable[Change]) -> Iterator[Topic]:
    for change in changes:
        match change.subject:
            case Service() as service:
                yield object_topic(Object("Service", *service.key))
                yield from map(address_topic, _ips(change))
            case EgressNetwork() as network if _network(change.before) != _network(change.after):
                yield object_topic(Object("EgressNetwork", *network.key))
                yield networks_topic(network.namespace)
            case Route() if _route(change.before) != _route(change.after):
                yield from map(routes_topic, _parents(change))


def _ips(change: Change) -> Iterator[str]:
    for side in (change.before, change.after):
        if isinstance(side, Service):
            yield from side.ips


def _parents(change: Change) -> Iterator[Object]:
    for side in (change.before, change.after):
        if isinstance(side, Route):
            yield from side.attached_to


def _route(found: object) -> object:
    """What answers are made of: what we said of it ourselves is not."""
    return replace(found, statuses=()) if isinstance(found, Route) else None


def _network(found: object) -> object:
    return replace(found, conditions=()) if isinstance(found, EgressNetwork) else None
