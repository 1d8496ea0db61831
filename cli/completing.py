"""What a shell may complete: types, output forms, and the names of the running mesh.

Names are asked for in the moment a person waits with a finger on the key: shortly, and without a word
when nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer  # typer itself reads the annotations

from linkerd2_py.cli import workloads
from linkerd2_py.cli.resources import ALL, WORKLOADS, canonical_kind, is_kind

if TYPE_CHECKING:
    from linkerd2_py.cli.checks.cluster.asked import Asked
    from linkerd2_py.cli.options import Globals

# For the mesh of this machine; a distant one may be too far away to complete from.
TIMEOUT_S: Final = 1.0
_PATHS: Final = {
    "pod": "pods",
    "service": "services",
    **dict.fromkeys(sorted(WORKLOADS), "workloads"),
}

_T = TypeVar("_T")
Item = Mapping[str, Any]
Words = Callable[[], list[str]]
ResourceWords = Callable[[typer.Context, str], list[str]]


def words(*allowed: str) -> Words:
    """These and no others."""
    return lambda: list(allowed)


def namespaces(ctx: typer.Context) -> list[str]:
    """Those of a cluster; of a local mesh those that anything is in."""
    if (of_cluster := _of_cluster(ctx, "namespace")) is not None:
        return of_cluster
    found = (
        item["namespace"]
        for path in dict.fromkeys(_PATHS.values())
        for item in _ask(ctx, path, everywhere=True)
    )
    return sorted(set(found))


def contexts(ctx: typer.Context) -> list[str]:
    """Those of the kubeconfig."""
    from linkerd2_py.cli.find.cluster import kubeconfig
    from linkerd2_py.controlplane.sources.kubernetes.api_server import contexts_of

    path = kubeconfig(_globals(ctx))
    try:
        return contexts_of(path) if path else []
    except Exception:  # noqa: BLE001  # as in `_ask`
        return []


def pods(ctx: typer.Context) -> list[str]:
    """Their names."""
    return _names(ctx, "pod")


def services(ctx: typer.Context) -> list[str]:
    """Their names."""
    return _names(ctx, "service")


def authorities(ctx: typer.Context) -> list[str]:
    """Services as `diagnostics endpoints` takes them: a port is named unless it is 80."""
    of_cluster = _through(
        ctx, lambda asked, namespace: workloads.authorities(asked, namespace=namespace)
    )
    found = (
        of_cluster
        if of_cluster is not None
        else [
            (str(service["name"]), int(port["port"]))
            for service in _ask(ctx, "services")
            for port in service["ports"]
        ]
    )
    return [name if port == 80 else f"{name}:{port}" for name, port in found]


def resources(*kinds: str) -> ResourceWords:
    """TYPE, TYPE,TYPE, TYPE NAME and TYPE/NAME for these types."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        before = ctx.params.get("resources") or ctx.params.get("resource") or []
        if before and "/" not in before[0]:
            return [name for name in _names(ctx, before[0]) if name not in before]
        kind, slash, _ = incomplete.partition("/")
        if slash:
            return [f"{kind}/{name}" for name in _names(ctx, kind)]
        earlier, comma, _ = incomplete.rpartition(",")
        return [f"{earlier}{comma}{kind}" for kind in kinds]

    return complete


def _names(ctx: typer.Context, kind: str) -> list[str]:
    """Of the things of a kind; none for a word that is no kind."""
    if not is_kind(kind):
        return []
    canonical = canonical_kind(kind)
    if canonical == "namespace":
        return namespaces(ctx)
    if (of_cluster := _of_cluster(ctx, canonical)) is not None:
        return of_cluster
    if canonical == ALL or canonical not in _PATHS:
        return []
    found = _ask(ctx, _PATHS[canonical])
    return [str(item["name"]) for item in found if item.get("kind", canonical) == canonical]


def _of_cluster(ctx: typer.Context, kind: str) -> list[str] | None:
    """The names of all of a kind; None where no cluster is asked."""
    return _through(ctx, lambda asked, namespace: workloads.names(asked, kind, namespace=namespace))


def _through(ctx: typer.Context, found: Callable[[Asked, str], list[_T]]) -> list[_T] | None:
    """What is found in a namespace as the API server of a cluster knows it, whether a control plane is there
    or not; None where no cluster is asked.
    """
    from linkerd2_py.cli.find.public_api import asks_a_cluster

    given = _globals(ctx)
    try:
        if not asks_a_cluster(given):
            return None
        with workloads.asked_of(given, timeout_s=TIMEOUT_S) as (cluster, asked):
            return found(asked, given.namespace or cluster.namespace)
    except Exception:  # noqa: BLE001  # as in `_ask`
        return []


def _ask(ctx: typer.Context, path: str, *, everywhere: bool = False) -> Sequence[Item]:
    from linkerd2_py.cli.api import connect

    try:
        with connect(_globals(ctx), timeout_s=TIMEOUT_S) as api:
            chosen = "" if everywhere else api.namespace
            items: Sequence[Item] = api.get(f"/{path}", namespace=chosen)[path]
            return items
    except Exception:  # noqa: BLE001  # whatever it is, the person will hear of it from the command itself
        return []


def _globals(ctx: typer.Context) -> Globals:
    """The global options, each from either side of the command."""
    from linkerd2_py.cli.options import Globals

    return Globals(**{each.name: _given(ctx, each.name) for each in fields(Globals)})


def _given(ctx: Any, option: str) -> Any:
    here = ctx.params.get(option)
    return here or (_given(ctx.parent, option) if ctx.parent else None)
