"""What names below cluster.local mean in a mesh. Pure: no messages, no sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final

from linkerd2_py.controlplane.mesh.objects import Endpoint, Family, Key, Service, of_family
from linkerd2_py.controlplane.mesh.store import Mesh

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
    ready = (end.ip for end in _endpoints(service, mesh=mesh) if end.ready)
    return _addresses(list(dict.fromkeys(ready)), family=family)


def _of_pod(name: str, service: Service | None, mesh: Mesh, family: Family) -> Found:
    if service is None:
        return Absence.NO_NAME
    # Ready or not: who names a replica wants this one, perhaps to see how it is.
    pods = {end.pod for end in _endpoints(service, mesh=mesh) if end.hostname == name and end.pod}
    running = [pod for pod in map(mesh.pods.get, pods) if pod and pod.status == "Running"]
    return _addresses(running[0].ips, family=family) if running else Absence.NO_NAME


def _endpoints(service: Service, *, mesh: Mesh) -> Iterable[Endpoint]:
    """Of all its ports."""
    return (end for found in mesh.endpoints_of(service.key) for end in found.endpoints)


def _addresses(ips: Sequence[str], *, family: Family) -> Found:
    return of_family(ips, family=family) or Absence.NO_DATA
