"""Which route a request is of: one order for all clients of a port, whom its routes treat differently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py.proxy.matches import EVERYTHING, Step, condition_of
from linkerd2_py.proxy.patterns import Patterns


class RouteOrder:
    """Immutable; one with the same steps is equal. ValueError for a pattern that is not supported: which
    requests are of which route could not be told then.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps: tuple[Step, ...] = tuple(steps)
        found = [one.match for one in self.steps]
        # Behind what means every request nothing is looked at.
        end = found.index(EVERYTHING) if EVERYTHING in found else len(found)
        self.otherwise: int | None = self.steps[end].route if end < len(found) else None
        """The route of requests for which no rule holds; None: they are of none."""
        self.routes: tuple[int, ...] = tuple(one.route for one in self.steps[:end])
        """The route of each rule."""
        patterns = Patterns()
        conditions = [condition_of(match, patterns=patterns) for match in found[:end]]
        self.rules: Rules | None = Rules(conditions) if conditions else None
        self._hash = hash(self.steps)

    def behind(self, first: Iterable[Step], *, shift: int) -> RouteOrder:
        """With `first` before its own steps, whose routes have numbers that are higher by `shift` then."""
        own = (one._replace(route=one.route + shift) for one in self.steps)
        return RouteOrder((*first, *own))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RouteOrder) and self.steps == other.steps

    def __hash__(self) -> int:
        return self._hash


EVERYTHING_FIRST: Final = RouteOrder([Step(EVERYTHING, 0)])
"""All requests are of the first route."""
