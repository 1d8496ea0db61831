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

class TableDraft:
    """The same made rule by rule, by who gives way to others in between. `finished` gives it away, whole:
    then the draft takes nothing more (ValueError)."""

    def __init__(self, *, otherwise: Plan | None = None) -> None: ...
    def add(self, condition: Condition, plan: Plan) -> None: ...
    def finished(self) -> RouteTable: ...

class NamedRoutes:
    """Tables by what requests name, `host:port` in canonical form. `on_unknown` is called with each name that
    has none, for each connection that brings it."""

    on_unknown: Callable[[bytes], object] | None
    def install(self, name: bytes, table: RouteTable) -> None: ...
    def remove(self, name: bytes) -> None: ...
    def names(self) -> list[bytes]: ...
