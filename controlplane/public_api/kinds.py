"""The kinds of things that stats are about, by all the names that kubectl's users know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from linkerd2_py.base.names import owner_label
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError


class Kind(StrEnum):
    """Canonical names, in the order in which tables are shown."""

    AUTHORITY = "authority"
    AUTHORIZATIONPOLICY = "authorizationpolicy"
    CRONJOB = "cronjob"
    DAEMONSET = "daemonset"
    DEPLOYMENT = "deployment"
    HTTPROUTE = "httproute"
    JOB = "job"
    NAMESPACE = "namespace"
    POD = "pod"
    REPLICATIONCONTROLLER = "replicationcontroller"
    REPLICASET = "replicaset"
    SERVER = "server"
    SERVERAUTHORIZATION = "serverauthorization"
    SERVICE = "service"
    STATEFULSET = "statefulset"
    TRAFFICSPLIT = "trafficsplit"
    ALL = "all"

    @property
    def label(self) -> str:
        """What labels the things of this kind in metrics; with `dst_` before it as destinations."""
        return owner_label(self.value)

    @property
    def dst_label(self) -> str:
        """The same of where traffic goes; an authority is only ever that."""
        return self.value if self is Kind.AUTHORITY else f"dst_{self.label}"


# What owns pods, and is named in the labels of their proxies' metrics.
WORKLOADS: Final = frozenset(
    {
        Kind.CRONJOB,
        Kind.DAEMONSET,
        Kind.DEPLOYMENT,
        Kind.JOB,
        Kind.REPLICATIONCONTROLLER,
        Kind.REPLICASET,
        Kind.STATEFULSET,
    }
)
# What says who may call whom: there is traffic of it on the server's side alone.
POLICIES: Final = frozenset(
    {Kind.AUTHORIZATIONPOLICY, Kind.HTTPROUTE, Kind.SERVER, Kind.SERVERAUTHORIZATION}
)
SHORT: Final[Mapping[Kind, str]] = {
    Kind.AUTHORITY: "au",
    Kind.AUTHORIZATIONPOLICY: "ap",
    Kind.CRONJOB: "cj",
    Kind.DAEMONSET: "ds",
    Kind.DEPLOYMENT: "deploy",
    Kind.HTTPROUTE: "httproute",
    Kind.JOB: "job",
    Kind.NAMESPACE: "ns",
    Kind.POD: "po",
    Kind.REPLICATIONCONTROLLER: "rc",
    Kind.REPLICASET: "rs",
    Kind.SERVER: "srv",
    Kind.SERVERAUTHORIZATION: "saz",
    Kind.SERVICE: "svc",
    Kind.STATEFULSET: "sts",
    Kind.TRAFFICSPLIT: "ts",
}


def names_of(kind: Kind) -> Sequence[str]:
    """All that it is called: `po`, `pod`, `pods`."""
    name = kind.value
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    # A dict, for a job has no shorter name.
    return [name] if kind is Kind.ALL else list(dict.fromkeys((SHORT[kind], name, plural)))


_ALIASES: Final = {
    "authzpolicy": Kind.AUTHORIZATIONPOLICY,
    "route": Kind.HTTPROUTE,
    "serverauthz": Kind.SERVERAUTHORIZATION,
    "srvauthz": Kind.SERVERAUTHORIZATION,
}
_KINDS: Final[Mapping[str, Kind]] = {
    **{name: kind for kind in Kind for name in names_of(kind)},
    **_ALIASES,
}
KIND_NAMES: Final = tuple(_KINDS)
# Known to kubectl and Linkerd, but no traffic is counted by it yet.
_UNIMPLEMENTED = {
    "sp": "serviceprofile",
    "serviceprofile": "serviceprofile",
    "serviceprofiles": "serviceprofile",
}


def short_name(kind: str) -> str:
    """What kubectl calls a kind of workloads in short: `sts` for `statefulset`. One that nobody here knows
    keeps its name.
    """
    return SHORT[_KINDS[kind]] if kind in _KINDS else kind


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
