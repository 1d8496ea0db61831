"""Resource arguments: TYPE, TYPE NAME…, TYPE/NAME…, with kubectl's short and plural names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linkerd2_py.cli.errors import CliError, bad_usage

ALL: Final = "all"
# In the order in which tables of several types are printed.
SHORT_NAMES: Final[Mapping[str, str]] = {
    "authority": "au",
    "authorizationpolicy": "ap",
    "cronjob": "cj",
    "daemonset": "ds",
    "deployment": "deploy",
    "httproute": "httproute",
    "job": "job",
    "namespace": "ns",
    "pod": "po",
    "replicationcontroller": "rc",
    "replicaset": "rs",
    "server": "srv",
    "serverauthorization": "saz",
    "service": "svc",
    "statefulset": "sts",
    "trafficsplit": "ts",
}


_ALIASES: Final[Mapping[str, str]] = {
    "authzpolicy": "authorizationpolicy",
    "route": "httproute",
    "serverauthz": "serverauthorization",
    "srvauthz": "serverauthorization",
}
WORKLOADS: Final = frozenset(
    {
        *("cronjob", "daemonset", "deployment", "job"),
        *("replicationcontroller", "replicaset", "statefulset"),
    }
)
"""What owns pods."""
WITH_PODS: Final = frozenset({"pod", *WORKLOADS})


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of thing, or one of that kind."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{SHORT_NAMES.get(self.kind, self.kind)}/{self.name}"


def canonical_kind(text: str) -> str:
    """`deploy`, `deployments`, `deployment` -> `deployment`. CliError for an unknown kind."""
    wanted = text.lower()
    if wanted == ALL:
        return ALL
    if wanted in _ALIASES:
        return _ALIASES[wanted]
    for kind, short in SHORT_NAMES.items():
        if wanted in {kind, short, _plural(kind)}:
            return kind
    known = ", ".join([*SHORT_NAMES.values(), ALL])
    raise bad_usage(f"unknown resource type {text!r}: use one of {known}")


def is_kind(text: str) -> bool:
    """Whether it is a type's name, in one of its forms."""
    try:
        return bool(canonical_kind(text))
    except CliError:
        return False


def parse_resource(text: str) -> Resource:
    """`deploy`, `deploy/` or `deploy/web`."""
    kind, _, name = text.partition("/")
    if "/" in name:
        raise bad_usage(f"invalid resource {text!r}: use TYPE or TYPE/NAME")
    return Resource(canonical_kind(kind), name)


def parse_resources(words: Sequence[str]) -> list[Resource]:
    """One or more resources: `deploy`, `deploy web api`, `deploy/web po/web-0`."""
    if not words:
        raise bad_usage("no resource is given: use TYPE, TYPE NAME or TYPE/NAME, e.g. `deploy`")
    if "/" not in words[0] and len(words) > 1:
        kind = canonical_kind(words[0])
        resources = [_named(kind, name=word) for word in words[1:]]
    else:
        resources = [parse_resource(word) for word in words]
    if len(set(resources)) < len(resources):
        raise bad_usage("a resource is given twice")
    if len(resources) > 1 and any(resource.kind == ALL for resource in resources):
        raise bad_usage("'all' cannot stand beside other resources")
    return resources


def _named(kind: str, *, name: str) -> Resource:
    if "/" in name:
        raise bad_usage(f"use either TYPE NAME or TYPE/NAME, not both: {name!r}")
    return Resource(kind, name)


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
