"""What a target stands for, as metrics name it: an object of the cluster, or the name of a default."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proxy.discovery.messages import Labels

_SERVICE_LABELS: Final = 4
"""Of a service's name at least: its own, its namespace's, `svc`, and the domain of the cluster."""


class ObjectRef(NamedTuple):
    """The object that something was made from, or the name of a default."""

    group: str
    kind: str
    namespace: str
    name: str
    port: str = ""
    section: str = ""

    def labels(self, what: str) -> Labels:
        """As metrics name it."""
        more = ((f"{what}_port", self.port), (f"{what}_section_name", self.section))
        return (*self.names(what), *more)

    def names(self, what: str) -> Labels:
        """The same of what has no ports: a route."""
        return (
            (f"{what}_group", self.group),
            (f"{what}_kind", self.kind),
            (f"{what}_namespace", self.namespace),
            (f"{what}_name", self.name),
        )


FALLBACK: Final = ObjectRef("", "default", "", "fallback")
"""What nobody knows anything about: an address or a name outside the mesh."""


def object_ref(message: meta.Metadata) -> ObjectRef:
    """ValueError for metadata that say nothing."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("metadata that say nothing")
    if kind == "default":
        return ObjectRef("", "default", "", message.default)
    one = message.resource
    port = str(one.port) if one.port else ""
    return ObjectRef(one.group, one.kind, one.namespace, one.name, port, one.section)


def service_named(authority: str) -> ObjectRef:
    """The service that `host:port` names, else FALLBACK."""
    host, _, port = authority.rpartition(":")
    labels = host.split(".")
    if len(labels) < _SERVICE_LABELS or labels[2] != "svc":
        return FALLBACK
    return ObjectRef("core", "Service", labels[1], labels[0], port)
