"""What commands ask of the proxies of one resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import Globals, checked_window
from linkerd2_py.cli.resources import WITH_PODS, parse_resources

_OF: Final = WITH_PODS | {"namespace"}


def rows_of(
    path: str, words: Sequence[str], *, window: str, given: Globals
) -> Sequence[Mapping[str, Any]]:
    """The rows of an answer about the resource that `words` name. CliError for what has no proxies."""
    checked_window(window)
    wanted = parse_resources(words)
    if len(wanted) > 1 or wanted[0].kind not in _OF:
        raise bad_usage(
            "one resource that has proxies is needed, e.g. deploy/web, or deploy, or ns"
        )
    with connect(given) as api:
        rows: Sequence[Mapping[str, Any]] = api.get(
            path,
            type=wanted[0].kind,
            name=wanted[0].name,
            namespace="" if wanted[0].kind == "namespace" else api.namespace,
            window=window,
        )["rows"]
    return rows
