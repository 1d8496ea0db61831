"""What a person means by a resource in a cluster: the names of all of a kind, the pods of one.

The API server is asked; no control plane needs to be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.cli.errors import CliError, bad_usage

if TYPE_CHECKING:
    from linkerd2_py.cli.checks.cluster.asked import Asked
    from linkerd2_py.cli.cluster import Cluster
    from linkerd2_py.cli.options import Globals
    from linkerd2_py.cli.resources import Resource

TIMEOUT_S: Final = 10.0
_APPS: Final = "/apis/apps/v1"
_BATCH: Final = "/apis/batch/v1"
_APIS: Final = {
    "cronjob": _BATCH,
    "daemonset": _APPS,
    "deployment": _APPS,
    "job": _BATCH,
    "namespace": "/api/v1",
    "pod": "/api/v1",
    "replicationcontroller": "/api/v1",
    "replicaset": _APPS,
    "service": "/api/v1",
    "statefulset": _APPS,
}
_OPERATORS: Final = {"In": "in", "NotIn": "notin"}

Object = dict[str, Any]


@contextmanager
def asked_of(given: Globals, *, timeout_s: float = TIMEOUT_S) -> Iterator[tuple[Cluster, Asked]]:
    """The cluster that is meant, and who asks it. CliError where none is, or it cannot be used."""
    from linkerd2_py.cli.checks.cluster.asked import Asked, Where
    from linkerd2_py.cli.find.cluster import where
    from linkerd2_py.cli.objects import opened

    with opened(given) as cluster:
        named = Where(where(given), "", given.namespace or "")
        yield cluster, Asked(lambda: cluster, where=named, timeout_s=timeout_s)


def names(asked: Asked, kind: str, *, namespace: str) -> list[str]:
    """Of all objects of a kind; none of what is no kind of a cluster."""
    if kind not in _APIS:
        return []
    return sorted(_name(one) for one in asked.listed(_path(kind, namespace=namespace)))


def authorities(asked: Asked, *, namespace: str) -> list[tuple[str, int]]:
    """Each service with each of its ports."""
    return [
        (_name(one), int(port["port"]))
        for one in asked.listed(_path("service", namespace=namespace))
        for port in one["spec"].get("ports") or ()
    ]


def pods_of(asked: Asked, resource: Resource, *, namespace: str) -> list[Object]:
    """The pods of one resource, by name. CliError where it is not there, or has none of its own."""
    path = _path("pod", namespace=namespace)
    if resource.kind == "namespace":
        found = asked.listed(_path("pod", namespace=resource.name))
    elif resource.kind == "pod":
        found = [_found(asked, resource, namespace=namespace)]
    elif resource.kind == "cronjob":
        found = [
            pod for job in _jobs(asked, resource, namespace) for pod in _selected(asked, path, job)
        ]
    elif resource.kind in {"authority", "service"} or resource.kind not in _APIS:
        raise bad_usage(
            f"{resource.kind!r} has no pods of its own: use e.g. deploy/web or po/web-0"
        )
    else:
        found = _selected(asked, path, _found(asked, resource, namespace=namespace))
    return sorted(found, key=_name)


def _jobs(asked: Asked, resource: Resource, namespace: str) -> Iterator[Object]:
    """Those that a cronjob has made."""
    _found(asked, resource, namespace=namespace)
    for job in asked.listed(_path("job", namespace=namespace)):
        owners = job["metadata"].get("ownerReferences") or ()
        if any(one.get("kind") == "CronJob" and one.get("name") == resource.name for one in owners):
            yield job


def _found(asked: Asked, resource: Resource, *, namespace: str) -> Object:
    path = f"{_path(resource.kind, namespace=namespace)}/{resource.name}"
    found = asked.find(path)
    if found is None:
        raise CliError(f"there is no {resource} in the namespace {namespace!r}")
    return found


def _selected(asked: Asked, path: str, owner: Object) -> list[Object]:
    chosen = ",".join(_requirements(owner.get("spec") or {}))
    # Who selects nothing has nobody; an empty selector would be everybody's.
    return asked.listed(path, labels=chosen) if chosen else []


def _requirements(spec: Object) -> Iterator[str]:
    """As a label selector is written."""
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels")
    # That of a ReplicationController is a mapping of labels.
    is_plain = labels is None and "matchExpressions" not in selector
    yield from (f"{key}={value}" for key, value in (selector if is_plain else labels or {}).items())
    for one in () if is_plain else selector.get("matchExpressions") or ():
        key, operator, values = one["key"], one["operator"], one.get("values") or ()
        if operator in _OPERATORS:
            yield f"{key} {_OPERATORS[operator]} ({','.join(values)})"
        else:
            yield key if operator == "Exists" else f"!{key}"


def _path(kind: str, *, namespace: str) -> str:
    if kind == "namespace" or not namespace:
        return f"{_APIS[kind]}/{kind}s"
    return f"{_APIS[kind]}/namespaces/{namespace}/{kind}s"


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def container_ports(pod: Object, *, ending: str) -> Sequence[tuple[str, int]]:
    """The containers that have a port whose name ends so, with its number."""
    from linkerd2_py.cli.checks.cluster.pods import containers

    return [
        (str(one["name"]), int(port["containerPort"]))
        for one in containers(pod)
        for port in one.get("ports") or ()
        if str(port.get("name") or "").endswith(ending)
    ]
