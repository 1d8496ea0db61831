"""Options that every command takes, so that they work on either side of the command's name."""

from __future__ import annotations

from typing import Annotated

import typer

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace (default: the running local mesh's own)."),
]
ApiAddr = Annotated[
    str | None,
    typer.Option("--api-addr", help="Address of the control plane's public API (host:port)."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say on stderr what is being asked.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Show all namespaces.")]
