from collections.abc import Iterable

from linkerd2_py._ext.policy.match import Condition

RULES_MAX: int
"""In one table."""

class Rules:
    """Conditions in the order in which they are looked at. Immutable; ValueError for more than RULES_MAX."""

    @property
    def count(self) -> int: ...
    def __init__(self, conditions: Iterable[Condition] = ()) -> None: ...
