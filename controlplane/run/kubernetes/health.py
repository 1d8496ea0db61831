"""Whether a process can do its work, and what keeps it from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Health:
    """What it `needs` (each says why it is not there; empty: it is), and further `problems`, beside which
    the rest goes on.
    """

    def __init__(self) -> None:
        self.needs: list[Callable[[], str]] = []
        self.problems: list[Callable[[], Iterable[str]]] = []

    def missing(self) -> list[str]:
        """A line for each thing that is needed and not there: not ready, if there is any."""
        return [reason for need in self.needs if (reason := need())]

    def troubles(self) -> list[str]:
        """A line for everything else that is not as it should be."""
        return [line for told in self.problems for line in told()]
