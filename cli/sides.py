"""What commands ask of the proxies of one resource."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import Globals, checked_window
from linkerd2_py.cli.resources import WITH_PODS, parse_resources

FORMS: Final = ("table", "json")
WithProxies = Annotated[
    list[str],
    typer.Argument(
        metavar="RESOURCE",
        help="TYPE, TYPE NAME or TYPE/NAME: po, ns, or what owns pods.",
        autocompletion=completing.resources("deploy", "po", "ns"),
    ),
]
Rows = Sequence[Mapping[str, Any]]

_OF: Final = WITH_PODS | {"namespace"}


def show(rows: Rows, *, form: str, json: Callable[[Rows], Any], table: Callable[..., str]) -> None:
    """Rows of traffic as one of FORMS, by whoever writes it so."""
    if form == "json":
        output.write_json(json(rows))
    elif rows:
        output.write(table(rows, paint=output.paint_for(sys.stdout)))
    else:
        output.note("No traffic found.")


def rows_of(path: str, words: Sequence[str], *, window: str, given: Globals) -> Rows:
    """The rows of an answer about the resource that `words` name. CliError for what has no proxies."""
    checked_window(window)
    wanted = parse_resources(words)
    if len(wanted) > 1 or wanted[0].kind not in _OF:
        raise bad_usage(
            "one resource that has proxies is needed, e.g. deploy/web, or deploy, or ns"
        )
    with connect(given) as api:
        rows: Rows = api.get(
            path,
            type=wanted[0].kind,
            name=wanted[0].name,
            namespace="" if wanted[0].kind == "namespace" else api.namespace,
            window=window,
        )["rows"]
    return rows
