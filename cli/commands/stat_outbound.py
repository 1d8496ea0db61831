"""`stat-outbound`: calls, by route and backend."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.options import Globals, TimeWindow, output_option
from linkerd2_py.cli.render import sides as render
from linkerd2_py.cli.sides import rows_of


def stat_outbound(
    resource: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE",
            help="TYPE, TYPE NAME or TYPE/NAME: po, ns, or what owns pods.",
            autocompletion=completing.resources("deploy", "po", "ns"),
        ),
    ],
    window: TimeWindow = "1m",
    form: Annotated[str, output_option("table", "json")] = "table",
    *,
    given: Globals,
) -> None:
    """Show the calls of a resource, by the route of a service and by backend.

    A request that no route means follows [default]. Retries are - where a proxy counts none.

    \b
    Examples:
      stat-outbound deploy/web
      stat-outbound ns
    """
    output.one_of(form, allowed=("table", "json"))
    rows = rows_of("/stat-outbound", resource, window=window, given=given)
    if form == "json":
        output.write_json(render.outbound_json(rows))
    elif rows:
        output.write(render.outbound_table(rows, paint=output.paint_for(sys.stdout)))
    else:
        output.note("No traffic found.")
