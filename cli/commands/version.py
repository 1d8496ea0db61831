"""`version`: this program's version, and those of control plane and proxies."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.quick import client_version

UNAVAILABLE = "unavailable"


def version(
    client: Annotated[bool, typer.Option("--client", help="Do not ask the server.")] = False,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Also of the proxies, with how many pods have each.")
    ] = False,
    short: Annotated[bool, typer.Option("--short", help="Print only the versions.")] = False,
    *,
    given: Globals,
) -> None:
    """Print the client's and the server's version."""
    if client and proxy:
        raise bad_usage("--client asks nobody, and --proxy asks the server: use one of them")
    output.write(client_version(short=short))
    if client:
        return
    server = server_version(given)
    output.write(server if short else f"Server version: {server}")
    if proxy:
        found = proxy_versions(given)
        output.write("\n".join(_proxy_lines(found, short=short)))


def _proxy_lines(found: list[tuple[str, int]], *, short: bool) -> list[str]:
    if short:
        return [name for name, _ in found] or [UNAVAILABLE]
    if not found:
        return [f"Proxy versions: {UNAVAILABLE}"]
    counted = [f"  {name} ({count} {'pod' if count == 1 else 'pods'})" for name, count in found]
    return ["Proxy versions:", *counted]


def server_version(given: Globals) -> str:
    """The control plane's version, or `unavailable` for whatever reason."""
    try:
        with connect(given) as api:
            return str(api.get("/version").get("version", UNAVAILABLE))
    except CliError:
        return UNAVAILABLE


def proxy_versions(given: Globals) -> list[tuple[str, int]]:
    """Each version with how many meshed pods have it; none where nobody answers."""
    try:
        with connect(given) as api:
            chosen = api.namespace if given.namespace else ""
            pods = api.get("/pods", namespace=chosen)["pods"]
    except CliError:
        return []
    meshed = (str(pod["proxy_version"]) or UNAVAILABLE for pod in pods if pod["meshed"])
    return sorted(Counter(meshed).items())
