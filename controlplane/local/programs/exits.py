"""How a program ended, in words."""

from __future__ import annotations

import signal


def describe_exit(status: int, *, last_line: str = "") -> str:
    """`exited with status 3: <its last words>`, or the name of the signal, which leaves none."""
    if status < 0:
        return f"ended by {_signal_name(-status)}"
    return (
        f"exited with status {status}: {last_line}" if last_line else f"exited with status {status}"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
