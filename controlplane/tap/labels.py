"""What the mesh knows of both ends of a request, in the labels of metrics."""

from __future__ import annotations

from linkerd2_py.base.names import (
    LABEL_NAMESPACE,
    LABEL_POD,
    LABEL_SERVICE,
)
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.pod_labels import labels_of
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.tap.events import Peer, TapEvent


def enrich(event: TapEvent, *, told_by: Pod, mesh: Mesh) -> None:
    """Whose proxy it is knows of its own end what its proxy does not: the pod. The other end is whoever has
    the address, unless the proxy said more.
    """
    source, destination = event["source"], event["destination"]
    match event["proxyDirection"]:
        case "INBOUND":
            _add(destination, pod=told_by)
            _add_service(destination, pod=told_by, mesh=mesh)
            _add(source, pod=_at(source["ip"], mesh=mesh))
        case "OUTBOUND":
            _add(source, pod=told_by)
            if LABEL_POD not in destination["metadata"]:
                _add(destination, pod=_at(destination["ip"], mesh=mesh))
        case _:
            _add(source, pod=_at(source["ip"], mesh=mesh))
            _add(destination, pod=_at(destination["ip"], mesh=mesh))


def _add(peer: Peer, *, pod: Pod | None) -> None:
    if pod is None:
        return
    peer["metadata"] |= {LABEL_NAMESPACE: pod.namespace, **labels_of(pod)}


def _add_service(peer: Peer, *, pod: Pod, mesh: Mesh) -> None:
    """The service that the request came by, where that can be one only."""
    services = mesh.services_selecting(pod)
    if len(services) == 1:
        peer["metadata"].setdefault(LABEL_SERVICE, services[0].name)


def _at(ip: str, *, mesh: Mesh) -> Pod | None:
    """The pod that has an address: of several the one that runs, where that is one only."""
    pods = mesh.pods_at(ip)
    if len(pods) > 1:
        pods = [pod for pod in pods if pod.status == "Running"]
    return pods[0] if len(pods) == 1 else None
