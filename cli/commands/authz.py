"""`authz`: which objects let anybody call a resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.options import Globals, TimeWindow, output_option
from linkerd2_py.cli.render import sides
from linkerd2_py.cli.render.table import Column, render_table
from linkerd2_py.cli.resources import WITH_PODS, parse_resources
from linkerd2_py.cli.sides import FORMS, rows_of, show

_COLUMNS: Final = ("route", "server", "authorization_policy", "server_authorization")


def authz(
    resource: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE",
            help="TYPE, TYPE NAME or TYPE/NAME: po, or what owns pods.",
            autocompletion=completing.resources("deploy", "po"),
        ),
    ],
    stats: Annotated[
        bool, typer.Option("--stats", help="With the requests that each let in, and refused ones.")
    ] = False,
    window: TimeWindow = "1m",
    form: Annotated[str, output_option(*FORMS)] = "table",
    *,
    given: Globals,
) -> None:
    """List the authorizations of a resource: what lets anybody call its pods, and where.

    What their default policies let in is not among them; see diagnostics policy. With --stats it is,
    where there was traffic.

    \b
    Examples:
      authz deploy/web
      authz deploy/web --stats -t 5m
    """
    output.one_of(form, allowed=FORMS)
    if stats:
        traffic = rows_of("/authz", resource, window=window, given=given)
        show(traffic, form=form, json=sides.authz_json, table=sides.authz_table)
        return
    wanted = parse_resources(resource)
    if len(wanted) > 1 or wanted[0].kind not in WITH_PODS:
        raise bad_usage("authz needs one resource that has pods, e.g. deploy/web, or deploy")
    with connect(given) as api:
        found = api.get(
            "/authorizations", type=wanted[0].kind, name=wanted[0].name, namespace=api.namespace
        )
        if wanted[0].name and not found["pods"]:
            raise CliError(f"no pod found for {wanted[0]} in the namespace {api.namespace!r}")
    rows = found["authorizations"]
    if form == "json":
        output.write_json(rows)
    elif not rows:
        output.note("No authorizations found.")
    else:
        output.write(authorization_table(rows))


def authorization_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each; what is about all of a Server has `*` as its route."""
    columns = [Column(name.upper(), right=False) for name in _COLUMNS]
    cells = [[row[name] or ("*" if name == "route" else "") for name in _COLUMNS] for row in rows]
    return render_table(columns, cells)
