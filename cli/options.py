"""Options that many commands take; the global ones so that they work on either side of the command's name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from linkerd2_py.cli import completing

Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Namespace (default: the running local mesh's own).",
        autocompletion=completing.namespaces,
    ),
]
ApiAddr = Annotated[
    str | None,
    typer.Option(
        "--api-addr", metavar="HOST:PORT", help="Address of the control plane's public API."
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say on stderr what is being asked.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Show all namespaces.")]


def output_option(*forms: str) -> Any:
    """`-o` with these values; `output.one_of` refuses others."""
    return typer.Option(
        "--output",
        "-o",
        metavar="|".join(forms),
        help="What to print.",
        autocompletion=completing.words(*forms),
    )
