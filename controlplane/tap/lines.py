"""Events as lines of JSON: one that many watch is written once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Final

from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.tap import Watch

MEDIA_TYPE: Final = "application/x-ndjson"
KEEPALIVE_S: Final = 10.0
"""Silence after which an empty line says that the watch goes on, and finds out who has gone."""

_write: Callable[[object], str] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


class Shared(dict[str, object]):
    """One object for all who watch."""

    line: bytes | None = None


def line_of(told: Told) -> bytes:
    """With its newline."""
    shared: object = told
    if not isinstance(shared, Shared):
        return _line(told)
    if shared.line is None:
        shared.line = _line(told)
    return shared.line


async def lines_of(watch: Watch, *, keepalive_s: float = KEEPALIVE_S) -> AsyncIterator[bytes]:
    """Until it ends; closes it whatever happens. Lines that are there already come together."""
    try:
        while True:
            told = await watch.within(keepalive_s)
            if told is None:
                yield b"\n"
                continue
            yield b"".join(map(line_of, told))
            if not told:
                return
    finally:
        await watch.aclose()


def _line(told: Told) -> bytes:
    # Half of a surrogate pair is no UTF-8; nothing of ours makes one.
    return _write(told).encode("utf-8", "replace") + b"\n"
