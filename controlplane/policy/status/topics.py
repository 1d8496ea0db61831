"""What statuses depend on, and what of that a change may touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import Key, Service
from linkerd2_py.controlplane.mesh.policy import HTTPLocalRateLimitPolicy, Server
from linkerd2_py.controlplane.mesh.routes import Object, Route
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.streams.topics import Topic


def object_topic(found: Object) -> Topic:
    """Something that routes are attached to or lead to, and whether it is there."""
    return Topic("object", found)


def routes_topic(parent: Object) -> Topic:
    """The routes that name it as their parent."""
    return Topic("routes", parent)


def limits_topic(server: Key) -> Topic:
    """Which policies limit a Server, and which of them is the oldest."""
    return Topic("limits", server)


def topics_of(changes: Sequence[Change]) -> frozenset[Topic]:
    """All that may be different after `changes`, both where things were and where they are."""
    return frozenset(_topics(changes))


def _topics(changes: Iterable[Change]) -> Iterator[Topic]:
    for change in changes:
        match change.subject:
            case Service() as service if _ips(change.before) != _ips(change.after):
                yield object_topic(Object("Service", *service.key))
            case Server() as server if change.before is None or change.after is None:
                yield object_topic(Object("Server", *server.key))
            case EgressNetwork() as network if _networks(change.before) != _networks(change.after):
                yield object_topic(Object("EgressNetwork", *network.key))
            case HTTPLocalRateLimitPolicy() if _limits(change.before) != _limits(change.after):
                yield from map(limits_topic, _limited(change))
            case Route():
                for one in _parents(change.before) ^ _parents(change.after):
                    yield routes_topic(Object(one.kind, one.namespace, one.name))


def _ips(side: object) -> object:
    """Whether there is a service, and whether it has addresses, is all that is asked."""
    return bool(side.ips) if isinstance(side, Service) else None


def _networks(side: object) -> object:
    return (side.networks,) if isinstance(side, EgressNetwork) else None


def _limits(side: object) -> tuple[Key, float] | None:
    if not isinstance(side, HTTPLocalRateLimitPolicy):
        return None
    return side.server_key, side.created


def _limited(change: Change) -> Iterator[Key]:
    for side in (change.before, change.after):
        if isinstance(side, HTTPLocalRateLimitPolicy):
            yield side.server_key


def _parents(side: object) -> frozenset[Parent]:
    return frozenset(side.parents) if isinstance(side, Route) else frozenset()
