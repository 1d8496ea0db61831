"""Kinds of policy.linkerd.io: what is kept of each."""

from __future__ import annotations

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.selector import Requirement, Selector
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    items,
    key_of,
    labels,
    mapping,
    number,
    text,
    texts,
)


def read_server(found: Json) -> Server:
    """A Server of any version that has a proxy protocol."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    return Server(
        namespace,
        name,
        port=number(spec, "port") or text(spec, "port"),
        pods=read_selector(spec, "podSelector"),
        external_workloads=read_selector(spec, "externalWorkloadSelector"),
        proxy_protocol=text(spec, "proxyProtocol") or "unknown",
        access_policy=text(spec, "accessPolicy") or "deny",
    )


def read_selector(found: Json, field: str) -> Selector | None:
    """The selector of this name; None where there is none, for an empty one means everything."""
    if not isinstance(found.get(field), dict):
        return None
    return Selector(
        labels=labels(found, field, "matchLabels"),
        requirements=tuple(
            Requirement(text(one, "key"), text(one, "operator"), frozenset(texts(one, "values")))
            for one in items(found, field, "matchExpressions")
        ),
    )
