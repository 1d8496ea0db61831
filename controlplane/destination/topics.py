"""What answers of destination depend on, and what of that a change may touch."""

from collections.abc import Iterable, Iterator, Sequence

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Endpoints, EndpointsKey, Key, Pod, Service
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic


def service_topic(service: Key) -> Topic:
    """A service's own definition."""
    return Topic("service", service)


def endpoints_topic(endpoints: EndpointsKey) -> Topic:
    """Who serves a port of a service, and what peers must know of them."""
    return Topic("endpoints", endpoints)


def served_topic(pod: Key) -> Topic:
    """Which ports of services a pod serves, and where."""
    return Topic("served-by", pod)


def address_topic(ip: str) -> Topic:
    """The pod or the service that has an address, if any."""
    return Topic("address", ip)


def topics_of(changes: Sequence[Change], *, mesh: Mesh) -> frozenset[Topic]:
    """All that may be different after `changes`, which led to `mesh`, both where things were and where they
    are.
    """
    return frozenset(_topics(changes, mesh=mesh))


def _topics(changes: Iterable[Change], *, mesh: Mesh) -> Iterator[Topic]:
    for change in changes:
        match change.subject:
            case Service():
                yield from _of_service(change)
            case Endpoints() as found:
                yield endpoints_topic(found.key)
                yield from map(served_topic, _moved(change))
            case Pod() as pod if _seen(change.before) != _seen(change.after):
                yield from (endpoints_topic(one.key) for one in mesh.endpoints_with(pod.key))
                yield from map(address_topic, _ips(change))


def _of_service(change: Change) -> Iterator[Topic]:
    service = change.subject
    if isinstance(service, Service):
        yield service_topic(service.key)
    yield from map(address_topic, _ips(change))


def _moved(change: Change) -> set[Key]:
    """The pods that came, went or serve in another way."""
    sides = (change.before, change.after)
    before, after = (set(one.endpoints if isinstance(one, Endpoints) else ()) for one in sides)
    return {endpoint.pod for endpoint in before ^ after if endpoint.pod}


def _ips(change: Change) -> Iterator[str]:
    for side in (change.before, change.after):
        if isinstance(side, Pod | Service):
            yield from side.ips


def _seen(pod: object) -> tuple[object, ...] | None:
    """What answers say of a pod. Whether it is ready is told by its Endpoints."""
    if not isinstance(pod, Pod):
        return None
    return (
        pod.owner,
        pod.ips,
        pod.status == "Failed",
        pod.service_account,
        pod.meshed,
        pod.proxied,
        pod.identity,
        pod.inbound_port,
    )
