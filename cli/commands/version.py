"""`version`: this program's version, and the control plane's."""

from __future__ import annotations

from typing import Annotated

import typer

from linkerd2_py import __version__
from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.options import ApiAddr, Namespace, Verbose

UNAVAILABLE = "unavailable"


def version(
    client: Annotated[bool, typer.Option("--client", help="Do not ask the server.")] = False,
    short: Annotated[bool, typer.Option("--short", help="Print only the versions.")] = False,
    _namespace: Namespace = None,
    api_addr: ApiAddr = None,
    verbose: Verbose = False,
) -> None:
    """Print the client's and the server's version."""
    output.write(__version__ if short else f"Client version: {__version__}")
    if client:
        return
    server = server_version(api_addr, verbose=verbose)
    output.write(server if short else f"Server version: {server}")


def server_version(api_addr: str | None, *, verbose: bool) -> str:
    """The control plane's version, or `unavailable` for whatever reason."""
    from linkerd2_py.cli.api import connect

    try:
        with connect(api_addr, verbose=verbose) as api:
            return str(api.get("/version").get("version", UNAVAILABLE))
    except CliError:
        return UNAVAILABLE
