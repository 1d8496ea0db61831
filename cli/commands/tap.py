"""`tap`: requests and responses, one line for each thing that happens, while it happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Final

from linkerd2_py.cli import jsonpath, output, tap_options
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.notes import Notes
from linkerd2_py.cli.options import Globals, Selector, output_option
from linkerd2_py.cli.render import tap as render
from linkerd2_py.cli.watching import Asked, Told, Watching, question, watching

_JSONPATH: Final = "jsonpath="
_FORMS: Final = ("table", "wide", "json")
Write = Callable[[Told], Iterator[str]]


def tap(
    words: tap_options.Words = None,
    to: tap_options.To = "",
    to_namespace: tap_options.ToNamespace = "",
    max_rps: tap_options.MaxRps = 100.0,
    scheme: tap_options.Scheme = "",
    method: tap_options.Method = "",
    authority: tap_options.Authority = "",
    path: tap_options.Path = "",
    selector: Selector = "",
    form: Annotated[str, output_option(*_FORMS, "jsonpath=PATH")] = "table",
    *,
    given: Globals,
) -> None:
    """Listen to the traffic of pods, as their proxies see it.

    Ends with Ctrl-C. `linkerd2-py top` sums it up.
    """
    write = _writer(form)
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
            headers=form == "json" or form.startswith(_JSONPATH) or None,
        )
        source.run(_show(source, asked, write=write))
    finally:
        source.close()


async def _show(source: Watching, asked: Asked, *, write: Write) -> None:
    notes = Notes()
    async with aclosing(source.told(asked)) as events:
        async for told in events:
            if "notice" in told:
                notes.hear(told)
                continue
            try:
                lines = list(write(told))
            except (KeyError, TypeError, AttributeError) as error:
                raise CliError("an event of the traffic cannot be read") from error
            for line in lines:
                output.write(line)
            # Whoever reads a pipe wants each as it comes.
            sys.stdout.flush()


def _writer(form: str) -> Write:
    if form.startswith(_JSONPATH):
        return partial(_at, steps=jsonpath.parse_path(form.removeprefix(_JSONPATH)))
    if form not in _FORMS:
        raise bad_usage(
            f'output format "{form}" not recognized: use {", ".join(_FORMS)}, jsonpath=…'
        )
    if form == "json":
        return lambda event: iter((render.json_of(event),))
    return lambda event: iter((render.line_of(event, wide=form == "wide"),))


def _at(event: Told, *, steps: Any) -> Iterator[str]:
    """What an event does not have is no line."""
    return map(render.json_text, jsonpath.find(render.as_json(event), steps))
