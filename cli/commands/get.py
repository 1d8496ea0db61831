"""`get`: the pods, their owners and the services that the control plane knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import Api, connect
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.options import (
    AllNamespaces,
    Globals,
    Selector,
    checked_selector,
    output_option,
)
from linkerd2_py.cli.render import get as render
from linkerd2_py.cli.resources import (
    ALL,
    SHORT_NAMES,
    WITH_PODS,
    WORKLOADS,
    Resource,
    parse_resources,
)

Item = Mapping[str, Any]
Found = dict[str, list[Item]]

# kubectl's words, with and without a namespace.
NOTHING: Final = "No resources found"
FORMS: Final = ("table", "wide", "name", "json")
# In the order in which they are shown.
_TABLES: Final[Mapping[str, Callable[..., str]]] = {
    kind: {"pod": render.pod_table, "service": render.service_table}.get(
        kind, render.workload_table
    )
    for kind in SHORT_NAMES
    if kind in WITH_PODS | {"service"}
}


def get(
    resources: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE",
            help="TYPE, TYPE NAME or TYPE/NAME; types: deploy sts … po svc all, or several: svc,po.",
            autocompletion=completing.resources("deploy", "po", "svc", "all"),
        ),
    ],
    form: Annotated[str, output_option("table", "wide", "name", "json")] = "table",
    selector: Selector = "",
    all_namespaces: AllNamespaces = False,
    *,
    given: Globals,
) -> None:
    """List pods, what owns them, and services.

    \b
    Examples:
      get pods
      get po web-0 -o wide
      get svc,po -l app=web
    """
    output.one_of(form, allowed=FORMS)
    wanted = listed(resources)
    fits = checked_selector(selector)
    if all_namespaces and any(resource.name for resource in wanted):
        raise bad_usage("a resource cannot be asked for by name across all namespaces")
    with connect(given) as api:
        chosen = "" if all_namespaces else api.namespace
        found = _find(api, wanted=wanted, namespace=chosen)
    selected = {
        kind: [item for item in items if fits(item["labels"])] for kind, items in found.items()
    }
    _show(selected, form=form, namespace=chosen)


def listed(words: Sequence[str]) -> list[Resource]:
    """What is meant, kind by kind. CliError for what cannot be listed."""
    first, *names = words
    kinds = first.split(",")
    if len(kinds) > 1 or first.lower() == ALL:
        if names or "/" in first:
            raise bad_usage(f"names cannot be given for several types: {' '.join(words)}")
        kinds = list(_TABLES) if first.lower() == ALL else kinds
        return [_listable(resource) for kind in kinds for resource in parse_resources([kind])]
    return [_listable(resource) for resource in parse_resources(words)]


def _listable(resource: Resource) -> Resource:
    if resource.kind not in _TABLES:
        raise bad_usage(
            f"{resource.kind!r} cannot be listed: use deploy, po, svc, what else owns pods, or all"
        )
    return resource


def _find(api: Api, *, wanted: Sequence[Resource], namespace: str) -> Found:
    """What is wanted, in the order of tables. CliError for a name that nothing has."""
    found: Found = {}
    for kind in (kind for kind in _TABLES if any(kind == one.kind for one in wanted)):
        items = _items(api, kind, namespace=namespace)
        names = {resource.name for resource in wanted if resource.kind == kind}
        missing = names - {"", *(item["name"] for item in items)}
        if missing:
            raise CliError(f"there is no {kind} {min(missing)!r} in the namespace {namespace!r}")
        found[kind] = [item for item in items if "" in names or item["name"] in names]
    return found


def _items(api: Api, kind: str, *, namespace: str) -> list[Item]:
    """All of a kind."""
    plural = "workloads" if kind in WORKLOADS else f"{kind}s"
    asked = {"type": kind} if kind in WORKLOADS else {}
    found = api.get(f"/{plural}", namespace=namespace, **asked)[plural]
    return [
        item
        for item in found
        if namespace in {"", item["namespace"]} and item.get("kind", kind) == kind
    ]


def _show(found: Found, *, form: str, namespace: str) -> None:
    """Those of a namespace; of all of them, where it is empty."""
    filled = {kind: items for kind, items in found.items() if items}
    if form == "json":
        output.write_json([item for items in found.values() for item in items])
    elif not filled:
        output.note(f"No resources found in {namespace} namespace." if namespace else NOTHING)
    elif form == "name":
        several = len(found) > 1
        lines = [
            f"{SHORT_NAMES[kind]}/{item['name']}"
            if several
            else f"{item['namespace']}/{item['name']}"
            for kind, items in filled.items()
            for item in items
        ]
        output.write("\n".join(lines))
    else:
        output.write("\n\n".join(_tables(filled, wide=form == "wide", namespaces=not namespace)))


def _tables(filled: Found, *, wide: bool, namespaces: bool) -> list[str]:
    """Names can be told apart, and given to other commands, where several kinds are shown."""
    return [
        _TABLES[kind](
            items,
            style=render.GetStyle(
                wide=wide,
                namespaces=namespaces,
                prefix=f"{SHORT_NAMES[kind]}/" if len(filled) > 1 else "",
            ),
        )
        for kind, items in filled.items()
    ]
