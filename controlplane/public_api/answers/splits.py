"""Traffic that is split: services whose requests go to several others, by weights, as ServiceProfiles and
HTTPRoutes say.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from linkerd2_py.base.names import CLUSTER_SUFFIX
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh

_WHOLE: Final = 10_000
"""The weight of an override that is 1, as Kubernetes writes quantities."""


class Leaf(NamedTuple):
    """One of the services that requests to `apex` go to: who says so, and its weight as they wrote it."""

    split: Key
    apex: Key
    service: Key
    weight: str


def leaves_of(mesh: Mesh) -> Iterator[Leaf]:
    """All of them. What leads to one place alone, whole, is no split."""
    yield from _of_profiles(mesh)
    yield from _of_routes(mesh)


def _of_profiles(mesh: Mesh) -> Iterator[Leaf]:
    for profile in tuple(mesh.service_profiles.values()):
        apex = service_of(profile.name)
        for one in profile.overrides if apex else ():
            leaf = service_of(one.authority)
            if apex and leaf:
                yield Leaf(Key(profile.namespace, apex.name), apex, leaf, _quantity(one.weight))


def _of_routes(mesh: Mesh) -> Iterator[Leaf]:
    for route in (*mesh.http_routes.values(), *mesh.grpc_routes.values()):
        apexes = [one for one in route.attached_to if one.kind == "Service"]
        for rule in route.rules:
            for backend in rule.backends if len(rule.backends) > 1 else ():
                for apex in apexes if backend.kind == "Service" else ():
                    yield Leaf(
                        Key(route.namespace, route.name),
                        Key(apex.namespace, apex.name),
                        Key(backend.namespace, backend.name),
                        str(backend.weight),
                    )


def service_of(authority: str) -> Key | None:
    """The service that a full name names, with a port or without; None where it names none."""
    host = authority.rpartition(":")[0] or authority
    name, _, rest = host.partition(".")
    namespace, _, suffix = rest.partition(".")
    return Key(namespace, name) if name and namespace and suffix == CLUSTER_SUFFIX else None


def _quantity(weight: int) -> str:
    """`1` or `900m`."""
    return f"{weight // _WHOLE}" if weight % _WHOLE == 0 else f"{weight * 1000 // _WHOLE}m"
