"""The table of `diagnostics proxy-endpoints`. What proxies say is anybody's words: any of it may be missing,
or of another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from linkerd2_py.cli.render.table import Column, printable_row, render_table

_COLUMNS: Final = (
    Column("POD", right=False),
    Column("TARGET", right=False),
    Column("ENDPOINT", right=False),
    Column("OF", right=False),
    Column("ZONE", right=False),
    Column("WEIGHT"),
    Column("STATE", right=False),
    Column("IN_FLIGHT"),
    Column("RTT"),
    Column("LOAD"),
    Column("FAILING"),
)
_NONE: Final = "-"
_MOST: Final = 1e12
"""Whatever is more, or no number at all, is not shown."""


def endpoints_table(found: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> str:
    """A line for each endpoint of each target of each pod."""
    rows = [
        [pod, _text(target, "logical"), *_cells(endpoint)]
        for pod, targets in found
        for target in targets
        for endpoint in target["endpoints"]
    ]
    return render_table(_COLUMNS, [printable_row(row) for row in rows])


def _cells(endpoint: Mapping[str, Any]) -> Iterator[str]:
    yield _text(endpoint, "address")
    yield _text(endpoint, "pod")
    near = " (own)" if endpoint.get("preferred") is True else ""
    yield _text(endpoint, "zone") + near
    yield _number(endpoint, "weight", "{:g}")
    yield _state(endpoint)
    yield _number(endpoint, "in_flight", "{:.0f}")
    yield _number(endpoint, "rtt_ms", "{:.1f}ms")
    yield _number(endpoint, "load_ms", "{:.1f}ms")
    failing = endpoint.get("failing")
    yield _number(endpoint, "failing", "{:.0%}") if failing else _NONE


def _state(endpoint: Mapping[str, Any]) -> str:
    """With for how long it is left alone."""
    state = _text(endpoint, "state")
    return f"{state} {_number(endpoint, 'open_s', '{:.1f}s')}" if state == "open" else state


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) and value else _NONE


def _number(found: Mapping[str, Any], name: str, form: str) -> str:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NONE
    return form.format(value) if abs(value) < _MOST else _NONE
