"""`/api/v1/services`: the services, with their virtual addresses and ports."""

from typing import TypedDict

from linkerd2_py.base.names import LABEL_APP
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Service
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.answers.common import OfNamespace
from linkerd2_py.controlplane.public_api.operation import Operation


class ListedPort(TypedDict):
    """One port of a service."""

    name: str
    port: int
    target_port: int | str
    opaque: bool


class ListedService(TypedDict):
    """One service."""

    kind: str
    namespace: str
    name: str
    labels: dict[str, str]
    workload: str
    cluster_ips: list[str]
    headless: bool
    ports: list[ListedPort]


class Services(TypedDict):
    """The answer, by namespace and name."""

    services: list[ListedService]


def services(mesh: Mesh) -> Operation[OfNamespace]:
    """The operation."""

    async def answer(asked: OfNamespace) -> Services:
        found = mesh.services.items()
        wanted = sorted(item for item in found if asked.has(item[0].namespace))
        return {"services": [_listed(service) async for _, service in in_slices(wanted)]}

    return Operation("/api/v1/services", "The services", OfNamespace, Services, answer)


def _listed(service: Service) -> ListedService:
    return {
        "kind": "service",
        "namespace": service.namespace,
        "name": service.name,
        "labels": dict(service.labels),
        "workload": service.selector.get(LABEL_APP, ""),
        "cluster_ips": list(service.ips),
        "headless": service.headless,
        "ports": [
            {
                "name": spec.name,
                "port": spec.port,
                "target_port": spec.target_port,
                "opaque": spec.opaque,
            }
            for spec in service.ports
        ],
    }
