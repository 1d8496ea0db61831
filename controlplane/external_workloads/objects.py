"""Slices of external workloads as objects of the API."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.slices import (
    FAMILIES,
    SliceEnd,
    SlicePort,
    WorkloadSlice,
)

_TYPES: Final = {family: name for name, family in FAMILIES.items()}


def path_of(namespace: str, name: str = "") -> str:
    """Where the API server has one, or all of a namespace."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    return f"{path}/{name}" if name else path


def new_object(one: WorkloadSlice) -> Json:
    """A slice that goes with its service."""
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": one.service,
        "uid": one.owner,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": one.name,
            "namespace": one.namespace,
            "labels": dict(one.labels),
            "ownerReferences": [owner],
        },
        "addressType": _TYPES[one.family],
        **_content(one),
    }


def changed_object(one: WorkloadSlice) -> Json:
    """What is patched, if nobody else has changed it since it was seen."""
    about = {"resourceVersion": one.version, "labels": dict(one.labels)}
    return {"metadata": about, **_content(one)}


def _content(one: WorkloadSlice) -> Json:
    return {"ports": [_port(port) for port in one.ports], "endpoints": [_end(e) for e in one.ends]}


def _port(port: SlicePort) -> Json:
    return {"name": port.name, "port": port.number, "protocol": port.protocol}


def _end(end: SliceEnd) -> Json:
    target = {"kind": "ExternalWorkload", **end.workload._asdict(), "uid": end.uid}
    written: Json = {
        "addresses": list(end.ips),
        "conditions": {"ready": end.ready, "serving": end.ready, "terminating": False},
        "targetRef": target,
    }
    known = {"zone": end.zone, "hostname": end.hostname}
    return written | {name: value for name, value in known.items() if value}
