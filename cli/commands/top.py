"""`top`: live traffic, summed up by who calls whom, and what."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated, Final

import typer

from linkerd2_py.cli import tap_options
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.options import Globals, Selector
from linkerd2_py.cli.top import plain
from linkerd2_py.cli.top.rows import Rows
from linkerd2_py.cli.watching import question, watching

MISSING: Final = (
    "top needs textual for its table: pip install 'linkerd2-py[tui]'; into a pipe it does not"
)


def top(
    words: tap_options.Words = None,
    to: tap_options.To = "",
    to_namespace: tap_options.ToNamespace = "",
    max_rps: tap_options.MaxRps = 100.0,
    scheme: tap_options.Scheme = "",
    method: tap_options.Method = "",
    authority: tap_options.Authority = "",
    path: tap_options.Path = "",
    selector: Selector = "",
    hide_sources: Annotated[
        bool, typer.Option("--hide-sources", help="Without who calls: one row for all of them.")
    ] = False,
    routes: Annotated[
        bool, typer.Option("--routes", help="By routes instead of methods and paths.")
    ] = False,
    *,
    given: Globals,
) -> None:
    """Display live traffic summed up, in a table that is drawn anew twice a second.

    Keys: / filters, s sorts, space pauses, ? tells more, q quits. Into a pipe, a table every five seconds.
    """
    interactive = sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"
    if interactive and find_spec("textual") is None:
        raise CliError(MISSING)
    source = watching(given)
    try:
        asked = question(
            words or [],
            namespace=source.namespace,
            to=to,
            to_namespace=to_namespace,
            max_rps=max_rps,
            scheme=scheme,
            method=method,
            authority=authority,
            path=path,
            label_selector=selector,
        )
        rows = Rows(hide_sources=hide_sources, routes=routes)
        if not interactive:
            source.run(plain.show(source, asked, rows))
            return
        from linkerd2_py.cli.top.page import Page

        problem = source.run(Page(source, asked, rows, title=" ".join(words or [])).run_async())
        if problem:
            raise CliError(problem)
    finally:
        source.close()
