"""A pod that does not answer: since when, how that shows, and where its program listens instead."""

from __future__ import annotations

from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.local.supervise.listening import listening

LOOK_EVERY_S: Final = 2.0
"""How often it is looked where the program listens: not while it may just be starting."""
STALLED_S: Final = 10.0
"""Silence that lasts for so long is a problem that a person is told of."""


class Silence:
    """`reason` is empty while the pod answers."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._since = self._looked = clock.monotonic()
        self._refusal = ""
        self._listens = ""

    @property
    def reason(self) -> str:
        """In one line."""
        return f"{self._refusal}{self._listens}"

    @property
    def stalled(self) -> bool:
        """Whether somebody should look."""
        return bool(self._refusal) and self._clock.monotonic() - self._since >= STALLED_S

    def heard(self, refusal: str, *, leader: int | None) -> None:
        """The newest answer: empty, or in what way there was none. `leader` is the program, where it runs."""
        now = self._clock.monotonic()
        if not refusal or not self._refusal:
            self._since = self._looked = now
            self._listens = ""
        self._refusal = refusal
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._listens = _listens(leader) if leader is not None else ""


def _listens(leader: int) -> str:
    found = ", ".join(listening(leader))
    return f" (the program listens on {found})" if found else " (the program listens nowhere)"
