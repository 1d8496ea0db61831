"""`stat`: success, rate and latency of what the mesh carries."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import Api, connect
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import (
    AllNamespaces,
    Globals,
    Selector,
    TimeWindow,
    checked_selector,
    checked_window,
    output_option,
)
from linkerd2_py.cli.render import stat as render
from linkerd2_py.cli.resources import SHORT_NAMES, Resource, parse_resource, parse_resources


@dataclass(frozen=True, slots=True)
class Filter:
    """The other end of the traffic: `--to` or `--from`."""

    side: str
    resource: Resource
    namespace: str

    def query(self) -> dict[str, str]:
        return {
            f"{self.side}_type": self.resource.kind,
            f"{self.side}_name": self.resource.name,
            f"{self.side}_namespace": self.namespace,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask, checked."""

    resources: list[Resource]
    namespace: str
    all_namespaces: bool
    window: str
    selector: str = ""
    other_end: Filter | None = None


_complete = completing.resources(*SHORT_NAMES.values(), "all")


def stat(
    resources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RESOURCE",
            help="TYPE, TYPE NAME or TYPE/NAME; types: deploy po svc au ns srv saz ap httproute ts all …",
            autocompletion=_complete,
        ),
    ] = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="RESOURCE",
            help="Only traffic to this resource.",
            autocompletion=_complete,
        ),
    ] = "",
    to_namespace: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE", help="Namespace of --to.", autocompletion=completing.namespaces
        ),
    ] = "",
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="RESOURCE",
            help="Only traffic from this resource.",
            autocompletion=_complete,
        ),
    ] = "",
    from_namespace: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE", help="Namespace of --from.", autocompletion=completing.namespaces
        ),
    ] = "",
    window: TimeWindow = "1m",
    selector: Selector = "",
    form: Annotated[str, output_option("table", "wide", "json")] = "table",
    all_namespaces: AllNamespaces = False,
    *,
    given: Globals,
) -> None:
    """Show success rate, requests per second and latency of resources.

    Types are what owns pods (deploy sts ds rs rc job cj), po, svc, ns, au (what clients name), srv, saz,
    ap and httproute (what policies let in and refuse), ts (services that are split), and all.

    \b
    Examples:
      stat deploy
      stat deploy/web --to deploy/voting
      stat au --from deploy/web
    """
    output.one_of(form, allowed=("table", "wide", "json"))
    checked_window(window)
    checked_selector(selector)
    wanted = parse_resources(resources or [])
    other_end = other_end_of(wanted, to=(to, to_namespace), from_=(from_, from_namespace))
    if all_namespaces and any(resource.name for resource in wanted):
        raise bad_usage("a resource cannot be asked for by name across all namespaces")
    with connect(given) as api:
        chosen = api.namespace
        request = Request(wanted, chosen, all_namespaces, window, selector, other_end)
        tables = ask(api, request=request)
    style = render.StatStyle(
        wide=form == "wide", namespaces=all_namespaces, paint=output.paint_for(sys.stdout)
    )
    if form == "json":
        output.write_json(render.as_json(tables))
    elif any(tables.values()):
        output.write(render.render_tables(tables, style=style))
    else:
        output.note("No traffic found.")


def other_end_of(
    resources: list[Resource], *, to: tuple[str, str], from_: tuple[str, str]
) -> Filter | None:
    """Check --to and --from against each other and the resources. CliError if they clash."""
    if any(to) and any(from_):
        raise bad_usage("--to and --from exclude each other")
    if not any(to) and not any(from_):
        return None
    side, (text, namespace) = ("to", to) if any(to) else ("from", from_)
    if namespace and any(resource.kind == "namespace" for resource in resources):
        raise bad_usage(f"--{side}-namespace cannot be used with the type namespace")
    # A namespace alone means: things of the same type over there.
    resource = parse_resource(text) if text else Resource(resources[0].kind)
    if side == "from" and resource.kind == "authority":
        raise bad_usage("traffic cannot be asked for --from an authority")
    return Filter(side, resource, namespace)


def ask(api: Api, *, request: Request) -> dict[str, list[render.Row]]:
    """The rows of every resource asked for, by type."""
    answers = []
    for resource in request.resources:
        own = "" if resource.kind == "namespace" else request.namespace
        other = request.other_end.query() if request.other_end else {}
        answers.append(
            api.get(
                "/stat",
                type=resource.kind,
                name=resource.name,
                namespace="" if request.all_namespaces else own,
                all_namespaces="true" if request.all_namespaces else "",
                window=request.window,
                selector=request.selector,
                **_default_namespace(other, namespace=request.namespace),
            )
        )
    return render.collect_rows(answers)


def _default_namespace(query: dict[str, str], *, namespace: str) -> dict[str, str]:
    """A named other end without a namespace is in ours."""
    filled = dict(query)
    for side in ("to", "from"):
        if query.get(f"{side}_name") and not query[f"{side}_namespace"]:
            filled[f"{side}_namespace"] = namespace
    return filled
