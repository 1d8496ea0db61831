"""`stat-inbound`: what arrived, by Server and route."""

from __future__ import annotations

from typing import Annotated

from linkerd2_py.cli import output
from linkerd2_py.cli.options import Globals, TimeWindow, output_option
from linkerd2_py.cli.render import sides as render
from linkerd2_py.cli.sides import FORMS, WithProxies, rows_of, show


def stat_inbound(
    resource: WithProxies,
    window: TimeWindow = "1m",
    form: Annotated[str, output_option(*FORMS)] = "table",
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
    output.one_of(form, allowed=FORMS)
    rows = rows_of("/stat-inbound", resource, window=window, given=given)
    show(rows, form=form, json=render.inbound_json, table=render.inbound_table)
