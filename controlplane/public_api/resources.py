"""The kinds of things that stats are about, by all the names that kubectl's users know."""

from dataclasses import dataclass
from enum import StrEnum


class InvalidQueryError(ValueError):
    """The query cannot be answered; the message says why, in one line."""


class Kind(StrEnum):
    """Canonical names, in the order in which tables are shown."""

    AUTHORITY = "authority"
    DEPLOYMENT = "deployment"
    NAMESPACE = "namespace"
    POD = "pod"
    SERVICE = "service"
    ALL = "all"


_NAMES = {
    Kind.AUTHORITY: ("au", "authority", "authorities"),
    Kind.DEPLOYMENT: ("deploy", "deployment", "deployments"),
    Kind.NAMESPACE: ("ns", "namespace", "namespaces"),
    Kind.POD: ("po", "pod", "pods"),
    Kind.SERVICE: ("svc", "service", "services"),
    Kind.ALL: ("all",),
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}
# Known to kubectl and Linkerd, but a mesh.yaml has none of them.
_UNIMPLEMENTED = {
    alias: canonical
    for canonical, aliases in {
        "daemonset": ("ds", "daemonset", "daemonsets"),
        "job": ("job", "jobs"),
        "replicationcontroller": ("rc", "replicationcontroller", "replicationcontrollers"),
        "replicaset": ("rs", "replicaset", "replicasets"),
        "serviceprofile": ("sp", "serviceprofile", "serviceprofiles"),
        "statefulset": ("sts", "statefulset", "statefulsets"),
    }.items()
    for alias in aliases
}
# What `all` stands for.
TABLES_OF_ALL = (Kind.AUTHORITY, Kind.DEPLOYMENT, Kind.POD, Kind.SERVICE)


def parse_kind(name: str) -> Kind:
    """The kind called `name`; raises `InvalidQueryError` with Linkerd's words."""
    kind = _KINDS.get(name.lower())
    if kind is not None:
        return kind
    if name.lower() in _UNIMPLEMENTED:
        raise InvalidQueryError(f"unimplemented resource type: {_UNIMPLEMENTED[name.lower()]}")
    raise InvalidQueryError(f"cannot find Kubernetes canonical name from friendly name [{name}]")


@dataclass(frozen=True, slots=True)
class Resource:
    """Some things of a kind: all of a namespace or everywhere (empty), or those of one name."""

    kind: Kind
    namespace: str = ""
    name: str = ""
