"""`edges`: who is connected to whom, as whom, and whether that is secured."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import AllNamespaces, Globals, output_option
from linkerd2_py.cli.render import edges as render
from linkerd2_py.cli.resources import WITH_PODS, parse_resource


def edges(
    resource_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help="Between what: deploy or po.",
            autocompletion=completing.words("deploy", "po"),
        ),
    ],
    form: Annotated[str, output_option("table", "wide", "json")] = "table",
    all_namespaces: AllNamespaces = False,
    *,
    given: Globals,
) -> None:
    """Show connections between resources, and the identities of their proxies.

    Those that begin or end in the namespace.
    """
    output.one_of(form, allowed=("table", "wide", "json"))
    kind = between(resource_type)
    with connect(given) as api:
        chosen = "" if all_namespaces else api.namespace
        found = api.get("/edges", type=kind, namespace=chosen)["edges"]
    if form == "json":
        output.write_json(render.as_json(found))
    elif not found:
        output.note("No edges found.")
    else:
        paint = output.paint_for(sys.stdout)
        output.write(render.edge_table(found, wide=form == "wide", paint=paint))


def between(text: str) -> str:
    """The kind meant. CliError for a single thing, and for what connections do not end at."""
    wanted = parse_resource(text)
    if wanted.name:
        raise bad_usage(
            f"edges cannot be shown for a specific resource name; remove {wanted.name!r}"
        )
    if wanted.kind not in WITH_PODS:
        raise bad_usage(f"resource type is not supported: {wanted.kind}; use deploy or po")
    return wanted.kind
