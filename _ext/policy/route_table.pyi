from collections.abc import Callable, Iterable

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.rules import Rules

class RouteTable(Rules):
    """Which plan the requests to one target follow: that of the first of `rules` whose condition holds, else
    `otherwise`; where that is None they have none. Immutable; ValueError for more than RULES_MAX rules."""

    @property
    def otherwise(self) -> Plan | None: ...
    def __init__(
        self, rules: Iterable[tuple[Condition, Plan]] = (), *, otherwise: Plan | None = None
    ) -> None: ...

class NamedRoutes:
    """Tables by what requests name, `host:port` in canonical form. `on_unknown` is called with each name that
    has none, for each connection that brings it."""

    on_unknown: Callable[[bytes], object] | None
    def install(self, name: bytes, table: RouteTable) -> None: ...
    def remove(self, name: bytes) -> None: ...
    def names(self) -> list[bytes]: ...
