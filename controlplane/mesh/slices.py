"""The EndpointSlices that the mesh itself writes: who of its external workloads serve a service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from linkerd2_py.controlplane.mesh.objects import Family, Key, Labels, MeshObject, no_labels

MANAGER: Final = "linkerd-external-workloads-controller"
"""Who manages them, as Linkerd's says it: slices that name another are not ours."""
MANAGER_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
FAMILIES: Final[Mapping[str, Family]] = {"IPv4": 4, "IPv6": 6}
"""As Kubernetes calls them."""


class SlicePort(NamedTuple):
    """A port of the service by its name, and the number that it is served under."""

    name: str
    number: int
    protocol: str = "TCP"


class SliceEnd(NamedTuple):
    """An external workload in a slice: `uid` tells it from one that had its name before."""

    workload: Key
    uid: str
    ips: tuple[str, ...]
    ready: bool
    zone: str = ""
    hostname: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadSlice(MeshObject):
    """Some of those who serve a service under the same ports, by their addresses of one family.

    `owner` is the uid of the service that it goes with, `version` the one that was last seen of it, empty
    while it is not written.
    """

    namespace: str
    name: str
    service: str
    owner: str
    family: Family
    ports: tuple[SlicePort, ...]
    ends: tuple[SliceEnd, ...]
    labels: Labels = field(default_factory=no_labels)
    version: str = ""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def service_key(self) -> Key:
        """Namespace and name of the service."""
        return Key(self.namespace, self.service)


def in_order(ends: Iterable[SliceEnd]) -> tuple[SliceEnd, ...]:
    """The same ends, by name: their order in a slice says nothing."""
    return tuple(sorted(ends))
