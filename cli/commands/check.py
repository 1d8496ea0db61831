"""`check`: is the mesh healthy, and if not, what to do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.checks.mesh import MeshChecks
from linkerd2_py.cli.checks.run import Check, Result, run_checks
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import EXIT_FAILURE, bad_usage
from linkerd2_py.cli.options import Globals, output_option
from linkerd2_py.cli.render.check import CheckLines, as_json, succeeded


def check(
    form: Annotated[str, output_option("table", "json", "short")] = "table",
    wait: Annotated[
        str,
        typer.Option("--wait", metavar="DURATION", help="Retry this long what may still come up."),
    ] = "5m",
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Only the data plane: pods and proxies.")
    ] = False,
    crds: Annotated[
        bool, typer.Option("--crds", help="Only whether a cluster knows the kinds of a mesh.")
    ] = False,
    *,
    given: Globals,
) -> None:
    """Check the control plane and the proxies; exit status 1 if something failed."""
    output.one_of(form, allowed=("table", "json", "short"))
    wait_s = parse_duration(wait, flag="--wait")
    checks = MeshChecks(given)
    wanted = _wanted(checks, proxy=proxy, crds=crds)
    lines = CheckLines(paint=output.paint_for(sys.stdout), short=form == "short")
    results: list[Result] = []
    try:
        for result in run_checks(wanted, wait_s=wait_s, on_wait=_on_wait):
            results.append(result)
            if form != "json":
                _show(lines.lines(result))
    finally:
        checks.close()
    if form == "json":
        output.write_json(as_json(results))
    else:
        _show(lines.verdict(results))
    if not succeeded(results):
        raise typer.Exit(EXIT_FAILURE)


def _wanted(checks: MeshChecks, *, proxy: bool, crds: bool) -> list[Check]:
    if proxy and crds:
        raise bad_usage("--proxy and --crds exclude each other")
    if crds:
        return checks.of_kinds()
    return checks.of_proxies() if proxy else checks.all()


def _show(lines: list[str]) -> None:
    for line in lines:
        output.write(f"{line}\n")
    sys.stdout.flush()


def _on_wait(reason: str) -> None:
    """Tell a waiting person why; a pipe sees nothing."""
    if sys.stderr.isatty():
        output.note(f"waiting: {reason}")
