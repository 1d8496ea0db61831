"""`stat-inbound`: what arrived, by Server and route."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.options import Globals, TimeWindow, output_option
from linkerd2_py.cli.render import sides as render
from linkerd2_py.cli.sides import rows_of


def stat_inbound(
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
    """Show what arrived at the proxies of a resource, by Server and route.

    Probes and what asks the proxies themselves are among it.

    \b
    Examples:
      stat-inbound deploy/voting
      stat-inbound ns
    """
    output.one_of(form, allowed=("table", "json"))
    rows = rows_of("/stat-inbound", resource, window=window, given=given)
    if form == "json":
        output.write_json(render.inbound_json(rows))
    elif rows:
        output.write(render.inbound_table(rows, paint=output.paint_for(sys.stdout)))
    else:
        output.note("No traffic found.")
