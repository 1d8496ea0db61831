"""How pods are, as `kubectl get` says it, and what is known of the proxies in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from linkerd2_py import __version__
from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.run import NotYetError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    mapping,
    number,
    text,
)

PROXY: Final = "linkerd-proxy"
_VERSION: Final = "linkerd.io/proxy-version"
# No program runs in them any more.
_OVER: Final = frozenset({"Completed", "NodeShutdown", "Shutdown", "Terminated", "Evicted"})

Pod = dict[str, Any]


def name_of(found: Pod) -> str:
    """With its namespace."""
    return f"{text(found, 'metadata', 'namespace')}/{text(found, 'metadata', 'name')}"


def containers(pod: Pod) -> Iterator[Pod]:
    """Those that are there from the start, too."""
    yield from items(pod, "spec", "initContainers")
    yield from items(pod, "spec", "containers")


def statuses(pod: Pod) -> Iterator[Pod]:
    """Of its containers."""
    yield from items(pod, "status", "initContainerStatuses")
    yield from items(pod, "status", "containerStatuses")


def is_meshed(pod: Pod) -> bool:
    """Whether a proxy is in it."""
    return any(one.get("name") == PROXY for one in containers(pod))


def meshed(asked: Asked) -> list[Pod]:
    """Those of its data plane's namespace, whose proxies are of its control plane."""
    own, name = asked.where.control_plane, asked.where.data_plane
    path = f"/api/v1/namespaces/{name}/pods" if name else "/api/v1/pods"
    return list(filter(is_meshed, asked.listed(path, labels=f"{OF_MESH}={own}")))


def status_of(pod: Pod) -> str:
    """kubectl's word: why a container does not run, else the phase."""
    phase = text(pod, "status", "reason") or text(pod, "status", "phase") or "Unknown"
    sidecars = {
        text(one, "name")
        for one in items(pod, "spec", "initContainers")
        if one.get("restartPolicy") == "Always"
    }
    for one in items(pod, "status", "initContainerStatuses"):
        is_up = text(one, "name") in sidecars and one.get("ready") is True
        ended = mapping(one, "state", "terminated")
        if not is_up and not (ended and number(ended, "exitCode") == 0):
            return f"Init:{_reason(one) or 'not ready'}"
    running = any(
        one.get("ready") is True and mapping(one, "state", "running")
        for one in items(pod, "status", "containerStatuses")
    )
    reasons = [
        found for one in items(pod, "status", "containerStatuses") if (found := _reason(one))
    ]
    if not reasons or (running and set(reasons) == {"Completed"}):
        return phase
    return reasons[0]


def _reason(status: Pod) -> str:
    waiting, ended = mapping(status, "state", "waiting"), mapping(status, "state", "terminated")
    if ended and not text(ended, "reason"):
        return f"ExitCode:{number(ended, 'exitCode')}"
    return text(waiting, "reason") or text(ended, "reason")


def require_proxies(pods: Iterable[Pod], *, namespace: str) -> None:
    """Not yet, unless there are proxies and all of them are ready."""
    found = list(pods)
    if not found:
        where = f' in the "{namespace}" namespace' if namespace else ""
        raise NotYetError(f'no "{PROXY}" containers found{where}')
    bad = [line for pod in found if (line := _trouble(pod))]
    if bad:
        raise NotYetError(f"{len(bad)} of {len(found)} pods are not ready:{bullets(bad)}")


def _trouble(pod: Pod) -> str:
    status = status_of(pod)
    if status in _OVER:
        return ""
    if status != "Running":
        return f'pod "{name_of(pod)}" status is {status}'
    ready = any(one.get("name") == PROXY and one.get("ready") is True for one in statuses(pod))
    return "" if ready else f'container "{PROXY}" in pod "{name_of(pod)}" is not ready'


def proxy_version(pod: Pod) -> str:
    """What the injector wrote down, else what its image is called; empty where nobody says."""
    said = annotation(pod, _VERSION)
    if said:
        return said
    images = (text(one, "image") for one in containers(pod) if one.get("name") == PROXY)
    tags = (image.rpartition("/")[2].partition("@")[0].partition(":")[2] for image in images)
    return next(tags, "")


def require_own_version(pods: Iterable[Pod]) -> None:
    """CliError naming the pods whose proxy is of another version than this command."""
    other = [
        f"{name_of(pod)} ({version})"
        for pod in pods
        if status_of(pod) == "Running" and (version := proxy_version(pod)) not in {"", __version__}
    ]
    if other:
        raise CliError(f"proxies of other versions than {__version__}:{bullets(sorted(other))}")
