"""Programs outside the cluster that have a proxy of this mesh."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.balancing import WEIGHT, weight_said
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    ContainerPort,
    ExternalWorkload,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    is_ip,
    items,
    key_of,
    labels,
    number,
    ports_of,
    text,
)
from linkerd2_py.controlplane.sources.kubernetes.inbound import read_inbound
from linkerd2_py.controlplane.sources.kubernetes.pods import (
    INBOUND_PORT,
    OPAQUE_PORTS,
    read_owner,
)

# The name of the port that its proxy listens on for others.
_PROXY_PORT: Final = "linkerd-proxy"


def read_external_workload(
    found: Json, *, default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS
) -> ExternalWorkload:
    """What peers must know of it."""
    key = namespace, name = key_of(found)
    declared = items(found, "spec", "ports")
    ports = tuple(
        ContainerPort(
            number(one, "port"), text(one, "name"), protocol=text(one, "protocol") or "TCP"
        )
        for one in declared
    )
    named = tuple((port.name, port.number) for port in ports if port.name)
    listing = annotation(found, OPAQUE_PORTS)
    return ExternalWorkload(
        namespace,
        name,
        ips=tuple(filter(is_ip, (text(one, "ip") for one in items(found, "spec", "workloadIPs")))),
        ports=ports,
        identity=text(found, "spec", "meshTLS", "identity"),
        server_name=text(found, "spec", "meshTLS", "serverName"),
        inbound_port=dict(named).get(_PROXY_PORT, INBOUND_PORT),
        opaque_ports=default_opaque_ports if listing is None else ports_of(listing, named),
        labels=labels(found, "metadata", "labels"),
        owner=read_owner(found),
        inbound=read_inbound(found),
        ready=any(map(_says_ready, items(found, "status", "conditions"))),
        uid=text(found, "metadata", "uid"),
        weight=weight_said(annotation(found, WEIGHT), kind="external workload", key=key),
    )


def _says_ready(condition: Json) -> bool:
    return text(condition, "type") == "Ready" and text(condition, "status") == "True"
