"""What names below cluster.local mean in a mesh. Pure: no messages, no sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final

from linkerd2_py.controlplane.mesh.objects import Family, Key, Mesh, Pod, Service, of_family

DOMAIN: Final = "cluster.local"


class Absence(Enum):
    """Why a name has no address: there is none of this family, or no such name at all."""

    NO_DATA = "no data"
    NO_NAME = "no name"


Found = tuple[str, ...] | Absence


class Zone:
    """The names of the mesh that `mesh` gives, as it is at each look-up."""

    def __init__(self, mesh: Callable[[], Mesh]) -> None:
        self._mesh = mesh

    def owns(self, name: str) -> bool:
        """Whether nobody else may be asked for `name`."""
        return f".{_plain(name)}".endswith(f".{DOMAIN}")

    def lookup(self, name: str, *, family: Family) -> Found:
        """The addresses of `name`, which must be the zone's own; letters may have either case."""
        mesh = self._mesh()
        match _plain(name).removesuffix(DOMAIN).split(".")[:-1]:
            case [] | ["svc"]:
                return Absence.NO_DATA
            case [namespace, "svc"]:
                known = any(service.namespace == namespace for service in mesh.services.values())
                return Absence.NO_DATA if known else Absence.NO_NAME
            case [service, namespace, "svc"]:
                return _of_service(mesh.services.get(Key(namespace, service)), mesh, family)
            case [pod, service, namespace, "svc"]:
                return _of_pod(pod, mesh.services.get(Key(namespace, service)), mesh, family)
        return Absence.NO_NAME


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _of_service(service: Service | None, mesh: Mesh, family: Family) -> Found:
    if service is None:
        return Absence.NO_NAME
    if not service.headless:
        return _addresses(service.ips, family=family)
    serving = (pod for pod in _pods(service, mesh=mesh) if pod.serving)
    return _addresses([ip for pod in serving for ip in pod.ips], family=family)


def _of_pod(name: str, service: Service | None, mesh: Mesh, family: Family) -> Found:
    if service is None:
        return Absence.NO_NAME
    for pod in _pods(service, mesh=mesh):
        # Ready or not: who names a replica wants this one, perhaps to see how it is.
        if pod.name == name and pod.status == "Running":
            return _addresses(pod.ips, family=family)
    return Absence.NO_NAME


def _pods(service: Service, *, mesh: Mesh) -> Iterable[Pod]:
    return mesh.pods_of(Key(service.namespace, service.workload))


def _addresses(ips: Sequence[str], *, family: Family) -> Found:
    return of_family(ips, family=family) or Absence.NO_DATA
