"""`dashboard`: the mesh in a browser."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find import cluster, local, public_api
from linkerd2_py.cli.options import Globals

PORT: Final = 50750
_SHOWN: Final = ("linkerd", "url")


def dashboard(
    show: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="|".join(_SHOWN),
            help="Open a browser (linkerd), or print the address alone (url).",
            autocompletion=completing.words(*_SHOWN),
        ),
    ] = "linkerd",
    address: Annotated[
        str, typer.Option("--address", metavar="HOST", help="Where to listen, for a cluster's.")
    ] = "localhost",
    port: Annotated[
        int,
        typer.Option(
            "--port",
            "-p",
            min=0,
            max=65535,
            metavar="PORT",
            help="At which port (0: any that is free), for a cluster's.",
        ),
    ] = PORT,
    *,
    given: Globals,
) -> None:
    """Open the mesh's dashboard in a browser.

    A local mesh serves it itself. Of a cluster's a port of this machine leads to it, through the API server,
    until Ctrl-C.
    """
    if show not in _SHOWN:
        raise bad_usage(f"--show: {show!r} is none of {', '.join(_SHOWN)}")
    if given.api_addr:
        raise bad_usage("--api-addr is a public API, which has no page: name a cluster, or none")
    if public_api.asks_a_cluster(given):
        _of_cluster(given, show=show, address=address, port=port)
        return
    _directory, state = local.running()
    url = local.dashboard_of(state)
    if not url:
        raise CliError("the local mesh is of a version without dashboard: start it anew")
    _tell(url, show=show)


def _of_cluster(given: Globals, *, show: str, address: str, port: int) -> None:
    import asyncio

    from linkerd2_py.cli.cluster import Cluster
    from linkerd2_py.cli.dashboard import forwarding
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    found = Cluster(cluster.kubeconfig(given), given)

    async def serve() -> None:
        way = forwarding(found.api, host=address, port=port, namespace=cluster.where(given))
        async with way as url:
            _tell(url, show=show)
            output.note("Ctrl-C ends it.")
            await asyncio.Event().wait()

    try:
        found.run(serve())
    except ApiError as error:
        raise CliError(f"{found.address} does not lead to the dashboard: {error}") from error
    finally:
        found.close()


def _tell(url: str, *, show: str) -> None:
    if show == "url":
        output.write(url)
    else:
        output.write(f"Linkerd dashboard available at:\n{url}")
    sys.stdout.flush()
    if show == "linkerd":
        _open(url)


def _open(url: str) -> None:
    import webbrowser

    output.write("Opening it in the default browser")
    if not webbrowser.open(url):
        output.note("no browser could be started here: open the address yourself")
