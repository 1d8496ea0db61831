from collections.abc import Callable

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.route_table import NamedRoutes
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.tls.identity import LocalIdentity

class TargetTable:
    """All targets of one direction. `on_unknown_target(target)` is called once for each that traffic names
    first; `on_idle_target(target)` again and again while nobody uses it for `idle_ns`."""

    loop: Loop
    registry: Registry
    direction: str
    settings: PoolSettings
    metrics_prefix: bytes
    # Of the proxy's own clients, whose series have this address instead of names and endpoints; None: of
    # others.
    addr: str | None
    # What families of its balancers are called by; None: outbound_http or outbound_tcp, or inbound none.
    balances_as: str | None
    identity: LocalIdentity | None
    in_flight: int
    # Told that the breaker of an endpoint opened or closed: with the target, the address, "open" or "closed",
    # for how many ns, and how many changes of the target were not told since the last that was. Once a second
    # and target at most. None: nobody is told.
    on_breaker: Callable[[Target, str, str, int, int], None] | None
    # By what requests name, for targets without routes of their own. Set before anybody connects.
    named: NamedRoutes | None
    def __init__(
        self,
        loop: Loop,
        registry: Registry,
        *,
        direction: str,
        settings: PoolSettings,
        on_unknown_target: Callable[[Target], None],
        on_idle_target: Callable[[Target], None] | None = None,
        idle_ns: int = 5_000_000_000,
        metrics_prefix: bytes = b"",
        identity: LocalIdentity | None = None,
    ) -> None: ...
    def lookup(self, key: bytes) -> Target: ...
    def install(self, key: bytes) -> Target: ...
    def remove(self, target: Target) -> None: ...
    siblings: set[Target]
    """Targets that only routes lead to."""
    def targets(self) -> list[Target]: ...
    def close(self) -> None: ...
