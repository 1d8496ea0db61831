from collections.abc import Callable
from typing import Any, TypeAlias

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity

Labels: TypeAlias = tuple[tuple[str, str], ...]
NO_TLS: Labels
LOOPBACK: Labels
DISABLED: Labels
NOT_FROM_REMOTE: Labels

class EndpointSpec:
    """One endpoint as discovery names it. `h2`: a meshed peer that takes HTTP/2 and l5d-orig-proto. `labels`
    become dst_*. `peer`: who must answer there, over TLS and in no other way. `tls` are the labels that say
    how connections to it are secured, or why not; unless given they follow from `peer`. `other`: where the
    same program may listen instead; a connect that `address` refuses is tried there, once. Not together with
    `peer`."""

    address: Address
    h2: bool
    labels: Labels
    tls: Labels
    peer: ServerIdentity | None
    other: Address | None
    def __init__(
        self,
        address: Address,
        *,
        h2: bool = False,
        labels: Labels = (),
        tls: Labels | None = None,
        peer: ServerIdentity | None = None,
        other: Address | None = None,
    ) -> None: ...

class Target:
    """What traffic is addressed to, with the endpoints that serve it. Made by a TargetTable only."""

    key: bytes
    port: int
    logical: bytes
    labels: Labels
    # Of its exchanges: those that begin from now on follow it.
    routes: RouteTable | None
    @property
    def in_use(self) -> int:
        """Exchanges and opaque connections that use it now."""
    @property
    def is_opaque(self) -> bool: ...
    def configure(
        self,
        *,
        opaque: bool = False,
        http: bool = False,
        logical: bytes | None = None,
        labels: Labels = (),
    ) -> None:
        """The profile is known: connections parked for it go on. `http`: what is no HTTP is refused, never
        carried as opaque."""
    def replace(self, specs: list[EndpointSpec]) -> None:
        """Makes the set exactly `specs`; endpoints that stay keep connections and load. None: what waits
        fails when the fail-fast period ends."""
    def add(self, specs: list[EndpointSpec]) -> None: ...
    def remove(self, addresses: list[Address]) -> None:
        """In flight finish, nothing new is dispatched. Unknown addresses are ignored."""
    def forward(self, spec: EndpointSpec) -> None:
        """One endpoint without balancing; its connect errors are answered at once (502, 504)."""
    def reject(self, status: int, text: str) -> None:
        """Every request gets `status` until one of the calls above."""
    def reject_loop(self) -> None:
        """The same because the target is this proxy itself: 502 outbound, 403 inbound."""
    def endpoints_state(self) -> list[dict[str, Any]]: ...
    def endpoint_labels(self, spec: EndpointSpec) -> list[tuple[str, str]]: ...
    def close(self) -> None: ...

class TargetTable:
    """All targets of one direction. `on_unknown_target(target)` is called once for each that traffic names
    first; `on_idle_target(target)` again and again while nobody uses it for `idle_ns`."""

    loop: Loop
    registry: Registry
    direction: str
    settings: PoolSettings
    metrics_prefix: bytes
    identity: LocalIdentity | None
    in_flight: int
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
    def targets(self) -> list[Target]: ...
    def close(self) -> None: ...
