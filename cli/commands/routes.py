"""`routes`: success, rate and latency of each route that profiles of services name."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import connect
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
from linkerd2_py.cli.render import routes as render
from linkerd2_py.cli.resources import WITH_PODS, Resource, parse_resource, parse_resources

_FORMS: Final = ("table", "wide", "json")
_OF: Final = WITH_PODS | {"namespace", "service"}
_complete = completing.resources("deploy", "po", "svc", "ns")


def routes(
    resource: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE",
            help="TYPE, TYPE NAME or TYPE/NAME; types: deploy po svc ns, and what else owns pods.",
            autocompletion=_complete,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="RESOURCE",
            help="Only calls of the resource to the services of this one.",
            autocompletion=_complete,
        ),
    ] = "",
    to_namespace: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE", help="Namespace of --to.", autocompletion=completing.namespaces
        ),
    ] = "",
    window: TimeWindow = "1m",
    selector: Selector = "",
    form: Annotated[str, output_option(*_FORMS)] = "table",
    all_namespaces: AllNamespaces = False,
    *,
    given: Globals,
) -> None:
    """Show success rate, requests per second and latency of routes.

    Routes are those of the ServiceProfiles of services; what none of them means is [DEFAULT]. With --to and
    -o wide, retries of the proxies count (ACTUAL) and do not (EFFECTIVE).

    \b
    Examples:
      routes deploy/voting
      routes svc/voting-svc
      routes deploy/web --to svc/voting-svc -o wide
    """
    output.one_of(form, allowed=_FORMS)
    checked_window(window)
    checked_selector(selector)
    wanted, other = _checked(resource, to=to, to_namespace=to_namespace)
    if form == "wide" and other is None:
        raise bad_usage("-o wide shows what retries do, as clients see it: say --to, too")
    if all_namespaces and wanted.name:
        raise bad_usage("a resource cannot be asked for by name across all namespaces")
    with connect(given) as api:
        tables = api.get(
            "/routes",
            type=wanted.kind,
            name=wanted.name,
            namespace="" if all_namespaces or wanted.kind == "namespace" else api.namespace,
            to_type=other.kind if other else "",
            to_name=other.name if other else "",
            to_namespace=(to_namespace or api.namespace) if other else "",
            selector=selector,
            window=window,
        )["tables"]
    style = render.RoutesStyle(
        actual=form == "wide",
        outbound=other is not None,
        namespaces=all_namespaces,
        paint=output.paint_for(sys.stdout),
    )
    if form == "json":
        output.write_json(render.as_json(tables, style=style))
    elif tables:
        output.write(render.render_tables(tables, style=style))
    else:
        output.note("No routes found: no service with traffic is behind it.")


def _checked(words: list[str], *, to: str, to_namespace: str) -> tuple[Resource, Resource | None]:
    """Whose routes, and of calls to what. CliError for what has none."""
    wanted = parse_resources(words)
    if len(wanted) > 1:
        raise bad_usage("routes takes one resource, e.g. deploy/web, or deploy for all of them")
    if to_namespace and not to:
        raise bad_usage("--to-namespace needs --to: calls to what")
    other = parse_resource(to) if to else None
    for one in (wanted[0], other):
        if one is not None and one.kind not in _OF:
            raise bad_usage(f"{one.kind} has no routes: use deploy, po, svc or ns")
    if other is not None and wanted[0].kind == "service":
        raise bad_usage("a service calls nobody: with --to use what has pods, e.g. deploy/web")
    return wanted[0], other
