"""`stat-outbound`: calls, by route and backend."""

from __future__ import annotations

from typing import Annotated

from linkerd2_py.cli import output
from linkerd2_py.cli.options import Globals, TimeWindow, output_option
from linkerd2_py.cli.render import sides as render
from linkerd2_py.cli.sides import FORMS, WithProxies, rows_of, show


def stat_outbound(
    resource: WithProxies,
    window: TimeWindow = "1m",
    form: Annotated[str, output_option(*FORMS)] = "table",
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
    output.one_of(form, allowed=FORMS)
    rows = rows_of("/stat-outbound", resource, window=window, given=given)
    show(rows, form=form, json=render.outbound_json, table=render.outbound_table)
