"""What is said beside events of live traffic, on stderr: once, unless it changes."""

from __future__ import annotations

from linkerd2_py.base.logs import printable
from linkerd2_py.cli import output
from linkerd2_py.cli.watching import Told


def said(told: Told) -> list[str]:
    """Lines of a notice."""
    match told.get("notice"):
        case "watching":
            lines = [
                f"{one.get('namespace')}/{one.get('pod')} cannot be watched: {one.get('reason')}"
                for one in told.get("troubles") or ()
            ]
        case "lost":
            lines = [f"{int(told.get('events') or 0)} events were lost: there were too many"]
        case "ended":
            lines = [f"the watch has ended: {told.get('reason')}"]
        case _:
            lines = []
    return [printable(line) for line in lines]


class Notes:
    """Of one watch."""

    def __init__(self) -> None:
        self._troubles: set[str] = set()

    def hear(self, told: Told) -> None:
        """Of a notice."""
        lines = said(told)
        if told.get("notice") == "watching":
            self._troubles, lines = set(lines), sorted(set(lines) - self._troubles)
        for line in lines:
            output.note(line)
