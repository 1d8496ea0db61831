"""The slices of external workloads, as far as whoever writes them must know what they say."""

from __future__ import annotations

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.slices import (
    FAMILIES,
    MANAGER,
    MANAGER_LABEL,
    SERVICE_LABEL,
    SliceEnd,
    SlicePort,
    WorkloadSlice,
    in_order,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    items,
    key_of,
    labels,
    mapping,
    number,
    text,
    texts,
)


def read_workload_slice(found: Json) -> WorkloadSlice | None:
    """None where somebody else manages it."""
    said = labels(found, "metadata", "labels")
    family = FAMILIES.get(text(found, "addressType"))
    if said.get(MANAGER_LABEL) != MANAGER or family is None:
        return None
    namespace, name = key_of(found)
    return WorkloadSlice(
        namespace,
        name,
        said.get(SERVICE_LABEL, ""),
        owner=_owner(found),
        family=family,
        ports=tuple(sorted(_port(one) for one in items(found, "ports"))),
        ends=in_order(_end(one) for one in items(found, "endpoints")),
        labels=said,
        version=text(found, "metadata", "resourceVersion"),
    )


def _owner(found: Json) -> str:
    owners = items(found, "metadata", "ownerReferences")
    return next((text(one, "uid") for one in owners if text(one, "kind") == "Service"), "")


def _port(found: Json) -> SlicePort:
    return SlicePort(text(found, "name"), number(found, "port"), text(found, "protocol") or "TCP")


def _end(found: Json) -> SliceEnd:
    target = mapping(found, "targetRef")
    return SliceEnd(
        Key(text(target, "namespace"), text(target, "name")),
        text(target, "uid"),
        texts(found, "addresses"),
        # Who says nothing of it is ready.
        ready=mapping(found, "conditions").get("ready") is not False,
        zone=text(found, "zone"),
        hostname=text(found, "hostname"),
    )
