"""What outbound policy says of connections that nobody parses, as values, and the engine's routes of them.

Routes of TLS are told apart by the name that a ClientHello asks for, whole or by its ending; there is one
route of opaque bytes. Either has exactly one rule, as Linkerd's proxy has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.metrics.connections import ConnectionMetrics
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.connections import ConnectionRoute, ConnectionRoutes, ConnectionWay
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py._ext.route.target import Target
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery.messages import Labels
from linkerd2_py.proxy.discovery.object_ref import ObjectRef
from linkerd2_py.proxy.discovery.ways import Balanced, Direct, Refused, Way, here

_FORBIDDEN: Final = Refused(403, "outbound policy forbids it", why="forbidden")
_NO_BACKEND: Final = Refused(500, "the route has no backend")
_NO_ROUTE: Final = Refused(404, "no route matches")

TargetOf = Callable[[Way], Target | None]
"""The target that a way leads to; None: the one that connections are addressed to."""


class ConnectionRule(NamedTuple):
    """`names`: those that mean it, `*.` before an ending; none: it means all. `ways`, by weight: where its
    connections go; none: nowhere.
    """

    route: ObjectRef
    names: tuple[str, ...]
    ways: tuple[tuple[Way, int], ...]


class ConnectionRules(NamedTuple):
    """Of a target, the first of those that mean a connection alike goes first. `by_name`: they are routes of
    TLS, so that a connection without a name has none.
    """

    parent: ObjectRef
    rules: tuple[ConnectionRule, ...]
    by_name: bool = False

    def way(self, own: Way | None) -> Way:
        """Where the target's own endpoints are: of a single way, there."""
        if not self.rules:
            return _NO_ROUTE
        ways = [way for rule in self.rules for way, _ in rule.ways] or [_NO_BACKEND]
        if len(ways) == 1 or all(isinstance(way, Refused) for way in ways):
            return ways[0]
        return own or _NO_BACKEND

    def leads_to(self) -> set[Balanced | Direct]:
        """All ways that lead somewhere."""
        ways = (way for rule in self.rules for way, _ in rule.ways)
        return {way for way in ways if not isinstance(way, Refused)}

    def at(self, address: SocketAddr) -> ConnectionRules:
        """The same for any address: this one is HERE."""
        rules = (
            one._replace(ways=tuple((here(way, address), weight) for way, weight in one.ways))
            for one in self.rules
        )
        return self._replace(rules=tuple(rules))


# ---- reading


def names_of(route: Any) -> tuple[str, ...]:
    """Of a route of TLS, in small letters. ValueError for a condition that says nothing."""
    return tuple(_name(one) for one in route.snis)


def _name(message: Any) -> str:
    kind = message.WhichOneof("match")
    if kind == "exact" and message.exact:
        return str(message.exact).lower()
    if kind == "suffix" and message.suffix.reverse_labels:
        return f"*.{'.'.join(reversed(message.suffix.reverse_labels))}".lower()
    raise ValueError("a condition on server names that says nothing")


def check_routes(routes: list[Any], *, by_name: bool) -> None:
    """ValueError for what Linkerd's proxy does not accept either, or for too much."""
    if not by_name and len(routes) > 1:
        raise ValueError(f"{len(routes)} routes of opaque bytes")
    if any(len(one.rules) != 1 for one in routes):
        raise ValueError("a route of connections whose rules are not exactly one")
    if by_name and sum(len(one.snis) for one in routes) > RULES_MAX:
        raise ValueError(f"routes with more than {RULES_MAX} conditions")


def barred(filters: Iterable[Any]) -> Refused | None:
    """What the first of these filters says; None: there is none. ValueError for one without a kind."""
    for one in filters:
        match one.WhichOneof("kind"):
            case "forbidden":
                return _FORBIDDEN
            case "invalid":
                text = one.invalid.message or "the backend cannot be"
                return Refused(500, text, why="invalid_backend")
            case _:
                raise ValueError("a filter without a kind")
    return None


# ---- making


class ConnectionPlans(NamedTuple):
    """How rules become the engine's routes. `key`: what the target is called by; `registry`: None counts
    nothing.
    """

    target_of: TargetOf
    key: bytes
    registry: Registry | None

    def routes(self, rules: ConnectionRules) -> ConnectionRoutes:
        """All of a target."""
        made = [(one, self._route(one, rules)) for one in rules.rules]
        names = [(name, route) for one, route in made for name in one.names]
        otherwise = next((route for one, route in made if not one.names), None)
        return ConnectionRoutes(names, otherwise=otherwise, by_name=rules.by_name)

    def _route(self, rule: ConnectionRule, rules: ConnectionRules) -> ConnectionRoute:
        ways = [self._way(way, weight) for way, weight in rule.ways or ((_NO_BACKEND, 1),)]
        if self.registry is None:
            return ConnectionRoute(ways)
        labels = (*rules.parent.labels("parent"), *rule.route.names("route"))
        more = () if rules.by_name else _target_labels(self.key)
        metrics = ConnectionMetrics(self.registry, (*labels, *more), tls=rules.by_name)
        return ConnectionRoute(ways, metrics=metrics)

    def _way(self, way: Way, weight: int) -> ConnectionWay:
        if isinstance(way, Refused):
            return ConnectionWay(weight=weight, refusal=way.why, text=way.text)
        return ConnectionWay(self.target_of(way), weight=weight)


def _target_labels(key: bytes) -> Labels:
    """Linkerd's: an address, and of a name the port alone."""
    host, _, port = key.decode("ascii", "replace").rpartition(":")
    plain = host.strip("[]")
    is_address = ":" in plain or plain.replace(".", "").isdecimal()
    return (("target_ip", plain if is_address else ""), ("target_port", port))
