"""`hunt`: what is wrong, the most likely cause first, and what shows it."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import EXIT_FAILURE, bad_usage
from linkerd2_py.cli.options import (
    AllNamespaces,
    Globals,
    TimeWindow,
    checked_window,
    output_option,
)
from linkerd2_py.cli.program import shown_program
from linkerd2_py.cli.render import hunt as render
from linkerd2_py.cli.resources import WITH_PODS, Resource, parse_resources

_OF: Final = WITH_PODS | {"service"}


def hunt(
    resource: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RESOURCE",
            help="Only about TYPE/NAME and its clients: po, svc, or what owns pods.",
            autocompletion=completing.resources("deploy", "po", "svc"),
        ),
    ] = None,
    window: TimeWindow = "1m",
    form: Annotated[str, output_option("table", "json")] = "table",
    all_namespaces: AllNamespaces = False,
    *,
    given: Globals,
) -> None:
    """Find what is wrong: failing routes, slow or bad replicas, crashes, ports, policies, certificates …

    The most likely cause comes first, each with the commands that show it. Exit status 0 if nothing was
    found, 1 if something was.

    \b
    Examples:
      hunt
      hunt deploy/web -t 5m
    """
    output.one_of(form, allowed=("table", "json"))
    checked_window(window)
    about = _about(resource or [])
    if about and all_namespaces:
        raise bad_usage("a resource cannot be asked for by name across all namespaces")
    with connect(given) as api:
        answer = api.get(
            "/hunt",
            namespace="" if all_namespaces else api.namespace,
            type=about.kind if about else "",
            name=about.name if about else "",
            window=window,
        )
        style = render.HuntStyle(
            program=shown_program(),
            namespace=api.control_plane.namespace,
            paint=output.paint_for(sys.stdout),
        )
    findings = answer["findings"]
    if form == "json":
        output.write_json(render.as_json(answer, style=style))
    elif findings:
        output.write("\n".join(render.finding_lines(findings, style=style)))
    else:
        output.note(_nothing(answer, window=window))
    if findings:
        raise typer.Exit(EXIT_FAILURE)


def _about(words: list[str]) -> Resource | None:
    """The one thing that is meant; None for everything. CliError for what nothing can be found of."""
    if not words:
        return None
    wanted = parse_resources(words)
    if len(wanted) > 1 or not wanted[0].name or wanted[0].kind not in _OF:
        raise bad_usage("hunt takes one thing, e.g. deploy/web or svc/web-svc, or nothing for all")
    return wanted[0]


def _nothing(answer: render.Found, *, window: str) -> str:
    pods, requests = answer["pods"], answer["requests"]
    return f"Nothing found: {pods} pods and {requests:.0f} requests of the last {window} look well."
