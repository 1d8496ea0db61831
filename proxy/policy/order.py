"""Which route a request is of, and what that route does to it: one order for all clients of a port, whom its
routes treat differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py.proxy.filters import NO_FILTERS, Filters
from linkerd2_py.proxy.matches import EVERYTHING, Step, condition_of
from linkerd2_py.proxy.patterns import Patterns


class Case(NamedTuple):
    """Requests of a route that are treated alike; routes have numbers."""

    route: int
    filters: Filters = NO_FILTERS


class RouteOrder:
    """Immutable; one with the same steps and filters is equal. `filters`: of each rule, by its number; none:
    nothing is filtered. ValueError for a pattern that is not supported: which requests are of which route
    could not be told then.
    """

    def __init__(self, steps: Iterable[Step], filters: tuple[Filters, ...] = ()) -> None:
        self.steps: tuple[Step, ...] = tuple(steps)
        self._filters = filters
        found = [one.match for one in self.steps]
        # Behind what means every request nothing is looked at.
        end = found.index(EVERYTHING) if EVERYTHING in found else len(found)
        cases = [self._case(one) for one in self.steps[: end + 1]]
        numbers = {case: number for number, case in enumerate(dict.fromkeys(cases))}
        self.cases: tuple[Case, ...] = tuple(numbers)
        self.numbers: tuple[int, ...] = tuple(numbers[case] for case in cases[:end])
        """The number of a case, for each rule."""
        self.otherwise: Case | None = cases[end] if end < len(found) else None
        """Of requests for which no rule holds; None: they are of no route."""
        patterns = Patterns()
        conditions = [condition_of(match, patterns=patterns) for match in found[:end]]
        self.rules: Rules | None = Rules(conditions) if conditions else None
        self._hash = hash((self.steps, self._filters))

    def behind(self, first: Iterable[Step], *, shift: int) -> RouteOrder:
        """With `first`, which filters nothing, before its own steps, whose routes have numbers that are
        higher by `shift` then.
        """
        before = (one._replace(rule=0) for one in first)
        own = (
            one._replace(route=one.route + shift, rule=one.rule + 1 if self._filters else 0)
            for one in self.steps
        )
        return RouteOrder((*before, *own), (NO_FILTERS, *self._filters) if self._filters else ())

    def _case(self, step: Step) -> Case:
        if not self._filters:
            return Case(step.route)
        return Case(step.route, self._filters[step.rule].at(step.match.beginning))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RouteOrder)
            and self.steps == other.steps
            and self._filters == other._filters
        )

    def __hash__(self) -> int:
        return self._hash


EVERYTHING_FIRST: Final = RouteOrder([Step(EVERYTHING, 0)])
"""All requests are of the first route."""
