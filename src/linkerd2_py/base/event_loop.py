"""uvloop where it is installed, else plain asyncio; and how the engine's loop runs inside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType

from linkerd2_py._ext.io.loop import Loop

native: ModuleType | None = None
new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import loop as native  # its compiled module
    from uvloop import new_event_loop as new_event_loop  # noqa: PLC0414  # the module's one export
except ImportError:
    from asyncio import new_event_loop as new_event_loop  # noqa: PLC0414


def run_inside(inner: Loop, outer: asyncio.AbstractEventLoop) -> None:
    """Let `outer` call `inner.drain` when there is work. On uvloop `inner` sleeps for both."""
    if native is not None and isinstance(outer, native.Loop):
        loop_t = native.libuv_get_loop_t_ptr(outer)
        if inner.run_inside(outer, loop_t=loop_t, library=str(native.__file__)):
            return
    outer.add_reader(inner.fileno(), inner.drain)


def leave(inner: Loop, outer: asyncio.AbstractEventLoop) -> None:
    """Undo `run_inside`: from here on nothing happens in the engine by itself. Idempotent."""
    inner.leave()
    outer.remove_reader(inner.fileno())
