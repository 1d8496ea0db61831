"""`diagnostics proxy-endpoints`: what the balancers of proxies believe of the endpoints they choose among."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from linkerd2_py.base.logs import printable
from linkerd2_py.cli import PROGRAM, metrics, output
from linkerd2_py.cli.errors import EXIT_FAILURE, CliError
from linkerd2_py.cli.metrics import Section
from linkerd2_py.cli.options import Globals, Proxies, output_option
from linkerd2_py.cli.render.endpoints import endpoints_table

_PATH: Final = "/endpoints.json"
_COMMAND: Final = "proxy-endpoints"


def proxy_endpoints(
    resource: Proxies,
    form: Annotated[str, output_option("table", "json")] = "table",
    *,
    given: Globals,
) -> None:
    """Show the endpoints that proxies choose among: weight, zone, state, load, breaker."""
    output.one_of(form, allowed=("table", "json"))
    with metrics.proxies_of(resource, given=given, command=_COMMAND, path=_PATH) as sections:
        read = [(section.pod, _targets(section)) for section in sections]
    found = [(pod, targets) for pod, targets in read if targets is not None]
    if form == "json":
        output.write_json([{"pod": pod, "targets": targets} for pod, targets in found])
    elif any(target["endpoints"] for _, targets in found for target in targets):
        output.write(endpoints_table(found))
    elif found:
        output.note("No endpoints found: these proxies call nobody yet.")
    if len(found) < len(read):
        raise typer.Exit(EXIT_FAILURE)


def _targets(section: Section) -> Sequence[Any] | None:
    """None of a proxy that does not answer, which keeps nobody from being shown."""
    try:
        return _parsed(section)
    except CliError as error:
        output.note(f"{PROGRAM}: {printable(section.pod)}: {printable(str(error))}")
        return None


def _parsed(section: Section) -> Sequence[Any]:
    text = section.read()
    try:
        targets = json.loads(text)["targets"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CliError("its proxy says nothing that could be read of its endpoints") from error
    if not isinstance(targets, list) or not all(map(_is_target, targets)):
        raise CliError("its proxy says something else than its endpoints")
    return targets


def _is_target(found: object) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("endpoints"), list)
        and all(isinstance(one, dict) for one in found["endpoints"])
    )
