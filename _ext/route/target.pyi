from typing import Any

from linkerd2_py._ext.balance.accrual import Accrual
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy.connections import ConnectionRoutes
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec, Labels

class Target:
    """What traffic is addressed to, with the endpoints that serve it. Made by a TargetTable only."""

    key: bytes
    port: int
    logical: bytes
    labels: Labels
    # Of its exchanges: those that begin from now on follow it.
    routes: RouteTable | None
    # The same of connections whose bytes nobody parses.
    connections: ConnectionRoutes | None
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
        detect_timeout_ns: int = 0,
        owner: Labels = (),
        backend: Labels = (),
        protocol: str = "",
    ) -> None:
        """The profile is known: connections parked for it go on. `http`: what is no HTTP is refused, never
        carried as opaque. `detect_timeout_ns`: how long it may be silent; 0: as long as the server says.
        What is counted of the target itself has the labels `owner`, its balancer those of `backend`, too;
        `protocol` is the word for what discovery says is spoken there."""
    def await_routes(self) -> None:
        """Requests that come before `configure` wait for it, and then follow the `routes` of that moment. A
        target that has been configured is not any more, and those that wait for an endpoint fail."""
    def guard(self, accrual: Accrual | None) -> None:
        """Its endpoints have breakers from now on; None: they have none. Saying the same again changes
        nothing, anything else begins with closed ones."""
    def sibling(self, key: bytes) -> Target:
        """Another of the same side, which only routes lead to. Whoever asks for it retires it."""
    def retire(self) -> None:
        """No route leads here any more: it is closed as soon as no exchange uses it. Idempotent."""
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
    def addresses(self) -> list[Address]:
        """Of its endpoints, ready or not."""
    def endpoint_state(self, address: Address) -> dict[str, Any] | None:
        """Of one of them as it is now; None: it is there no more. `address`, `at` (where it is dialled),
        `ready`, `weight`, `near`, `pending`, `rtt_ms`, `failing`: the share of its recent exchanges that
        failed, as it is believed now; `breaker`: closed, open or probation, None without one, and `open_s`,
        for how long it still is open; `labels`."""
    def endpoints_state(self) -> list[dict[str, Any]]:
        """All of them."""
    @property
    def waiting(self) -> int:
        """Those that wait for an endpoint."""
    def endpoint_labels(self, spec: EndpointSpec) -> list[tuple[str, str]]: ...
    def close(self) -> None: ...
