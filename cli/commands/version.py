"""`version`: this program's version, and those of control plane and proxies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.api import check_namespace, connect
from linkerd2_py.cli.checks.cluster.pods import meshed, proxy_version
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find.public_api import asks_a_cluster
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.quick import client_version
from linkerd2_py.cli.workloads import asked_of

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
    """The control plane's version, or `unavailable` for whatever reason. One in a cluster has it written down
    where it was installed.
    """
    try:
        if asks_a_cluster(given):
            with asked_of(given) as (_, asked), suppress(CliError):
                return str(asked.values["linkerdVersion"])
    except (CliError, KeyError):
        pass
    try:
        with connect(given) as api:
            return str(api.get("/version").get("version", UNAVAILABLE))
    except CliError:
        return UNAVAILABLE


def proxy_versions(given: Globals) -> list[tuple[str, int]]:
    """Each version with how many meshed pods have it; none where nobody answers."""
    try:
        if asks_a_cluster(given):
            check_namespace(given)
            with asked_of(given) as (_, asked):
                return _counted(map(proxy_version, meshed(asked)))
        with connect(given) as api:
            chosen = api.namespace if given.namespace else ""
            pods = api.get("/pods", namespace=chosen)["pods"]
    except CliError:
        return []
    return _counted(str(pod["proxy_version"]) for pod in pods if pod["meshed"])


def _counted(versions: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(version or UNAVAILABLE for version in versions).items())
