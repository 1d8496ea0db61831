"""What the policy API says of a target that the workload calls, as far as it can be done.

Requests are matched against `routes`, connections that nobody parses against `connections`. Where bytes are
opaque because somebody else says so, routes of requests are done as one where they mean everything, with one
backend; anything richer leads to the service itself, and where some rule refuses, all is refused.
ValueError for what Linkerd's proxy does not accept either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy import matches
from linkerd2_py.proxy.addresses import Authority, SocketAddr, is_host_name, split_host_port
from linkerd2_py.proxy.discovery import messages
from linkerd2_py.proxy.discovery.connection_rules import (
    ConnectionRule,
    ConnectionRules,
    barred,
    check_routes,
    names_of,
)
from linkerd2_py.proxy.discovery.failure_accrual import (
    FailureAccrual,
    failure_accrual,
    own_accrual,
)
from linkerd2_py.proxy.discovery.object_ref import ObjectRef, object_ref
from linkerd2_py.proxy.discovery.outbound_routes import (
    Destination,
    HttpRoutes,
    Routes,
    Rule,
)
from linkerd2_py.proxy.discovery.tries import Tries, tries
from linkerd2_py.proxy.discovery.ways import (
    Balanced,
    Direct,
    Refused,
    Way,
    guarded,
    here,
    of_all,
)
from linkerd2_py.proxy.filters import NO_FILTERS, Filters, filters_of
from linkerd2_py.proxy.policy.messages import reference, seconds

_NO_ROUTE: Final = "no route matches"
_NO_BACKEND: Final = "the route has no backend"
_FORBIDDEN: Final = "outbound policy forbids it"


class ClientPolicy(NamedTuple):
    """Where traffic goes that is HTTP, as far as can be said without a look at its requests, and where what
    is not; None: there is none of it. `routes`: where each request goes, `connections`: each of what is not
    HTTP. `own`: the way to the service itself, None where it is not known. `ignored`: what is left out, a
    line each.
    """

    http: Way | None
    opaque: Way | None
    routes: HttpRoutes | None = None
    own: Way | None = None
    detect_timeout_s: float = 0.0
    ignored: tuple[str, ...] = ()
    parent: ObjectRef | None = None
    """What it is of; None where it could not be used."""
    accrual: FailureAccrual | None = None
    """When endpoints of its backends are left alone for their failures; None: never."""
    protocol: str = "detect"
    """What it says is spoken, as metrics have it."""
    connections: ConnectionRules | None = None

    def at(self, address: SocketAddr) -> ClientPolicy:
        """The same for any address that has it: this one is HERE."""

        def moved(way: Way | None) -> Way | None:
            return None if way is None else here(way, address)

        routes, connections = self.routes, self.connections
        return self._replace(
            http=moved(self.http),
            opaque=moved(self.opaque),
            own=moved(self.own),
            routes=None if routes is None else routes.at(address),
            connections=None if connections is None else connections.at(address),
        )


class _Backend(NamedTuple):
    way: Way
    weight: int
    reference: meta.Metadata
    filters: Filters
    extras: tuple[str, ...]


class _Rule(NamedTuple):
    """One rule of a route. `means_all`: every request. `way`: what becomes of those that it means, None: it
    has several backends. `extras`: what else it asks for.
    """

    route: meta.Metadata
    means_all: bool
    backends: tuple[_Backend, ...]
    filters: Filters
    tries: Tries
    way: Way | None
    extras: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(reference(self.route))


def client_policy(message: outbound.OutboundPolicy) -> ClientPolicy:
    """What becomes of traffic to one target."""
    reference(message.metadata)
    _check_resource(message.metadata)
    kind = message.protocol.WhichOneof("kind")
    if kind is None:
        raise ValueError("a policy without a protocol")
    protocol, own = getattr(message.protocol, kind), _Own(message)
    if kind == "detect":
        return _detected(protocol, own, parent=message.metadata)
    if kind in {"opaque", "tls"}:
        found = _connections(protocol, parent=message.metadata, by_name=kind == "tls")
        return ClientPolicy(None, found.way(own.way()), own=own.way(), connections=found)
    decided = _Decided(tuple(_rules(protocol.routes)), own)
    routes = HttpRoutes(_routes(protocol, decided.rules, parent=message.metadata))
    return ClientPolicy(
        decided.way,
        None,
        routes=routes,
        own=own.way(),
        ignored=decided.ignored,
        accrual=failure_accrual(protocol),
    )


def _detected(
    protocol: outbound.ProxyProtocol.Detect, own: _Own, *, parent: meta.Metadata
) -> ClientPolicy:
    for name in ("http1", "http2", "opaque"):
        if not protocol.HasField(name):
            raise ValueError(f"detection without {name}")
    http1, http2 = (
        _Decided(tuple(_rules(one.routes)), own) for one in (protocol.http1, protocol.http2)
    )
    connections = _connections(protocol.opaque, parent=parent, by_name=False)
    http = http2.way if isinstance(http2.way, Refused) else http1.way
    ignored = [*http1.ignored, *http2.ignored]
    accrual, other = failure_accrual(protocol.http1), failure_accrual(protocol.http2)
    if accrual != other:
        ignored.append("failure accrual of HTTP/2 that differs from that of HTTP/1 is not done")
    of_http1 = _routes(protocol.http1, http1.rules, parent=parent)
    of_http2 = _routes(protocol.http2, http2.rules, parent=parent)
    return ClientPolicy(
        http,
        connections.way(own.way()),
        routes=HttpRoutes(of_http1, None if of_http2 == of_http1 else of_http2),
        own=own.way(),
        detect_timeout_s=seconds(protocol, "timeout"),
        ignored=tuple(dict.fromkeys(ignored)),
        accrual=accrual,
        connections=connections,
    )


def _connections(protocol: Any, *, parent: meta.Metadata, by_name: bool) -> ConnectionRules:
    check_routes(list(protocol.routes), by_name=by_name)
    names = [names_of(one) if by_name else () for one in protocol.routes]
    made = tuple(
        ConnectionRule(object_ref(one.route), its, _ways(one))
        for one, its in zip(_rules(protocol.routes), names, strict=True)
    )
    return ConnectionRules(object_ref(parent), made, by_name=by_name)


def _ways(rule: _Rule) -> tuple[tuple[Way, int], ...]:
    if isinstance(rule.way, Refused):
        return ((rule.way, 1),)
    return tuple((one.way, one.weight) for one in rule.backends)


def _routes(protocol: Any, rules: tuple[_Rule, ...], *, parent: meta.Metadata) -> Routes:
    made = tuple(
        Rule(
            object_ref(one.route),
            tuple(
                Destination(each.way, each.weight, object_ref(each.reference), each.filters)
                for each in one.backends
            ),
            filters=one.filters,
            tries=one.tries,
        )
        for one in rules
    )
    grpc = isinstance(protocol, outbound.ProxyProtocol.Grpc)
    return Routes(object_ref(parent), made, matches.steps_of(protocol.routes), grpc=grpc)


# ---- the decision


class _Own:
    """The way to the service itself that the policy is of."""

    def __init__(self, message: outbound.OutboundPolicy) -> None:
        self._metadata = message.metadata
        kinds = (kind for _, kind in message.protocol.ListFields())
        self._backends = [backend for kind in kinds for backend in _backends_of(kind)]

    def way(self) -> Way | None:
        """None when it is not known."""
        for backend in self._backends:
            if backend.reference == self._metadata and not isinstance(backend.way, Refused):
                return of_all(backend.way)
        return self._by_name() or self._by_address()

    def _by_name(self) -> Way | None:
        """Named like its neighbours: of a service whose routes all lead elsewhere only its parts are said."""
        resource = self._metadata.resource
        if resource.kind != "Service" or not resource.port:
            return None
        names = [one.way.name for one in self._backends if isinstance(one.way, Balanced)]
        for name in names:
            domain = name.host.split(".", 2)[2:]
            if domain:
                host = f"{resource.name}.{resource.namespace}.{domain[0]}"
                return Balanced(Authority(host, resource.port))
        return None

    def _by_address(self) -> Way | None:
        """Egress: all backends are the address itself."""
        ways = {one.way for one in self._backends if isinstance(one.way, Direct)}
        return ways.pop() if len(ways) == 1 else None


class _Decided:
    """What becomes of the requests of one protocol where nobody looks at them."""

    def __init__(self, rules: tuple[_Rule, ...], own: _Own) -> None:
        self.rules = rules
        refusing = [rule for rule in rules if isinstance(rule.way, Refused)]
        if not rules:
            self.way: Way = Refused(404, _NO_ROUTE)
        elif refusing:
            self.way = refusing[0].way or Refused(500, _NO_BACKEND)
        elif len(rules) == 1 and rules[0].means_all and rules[0].way is not None:
            self.way = of_all(rules[0].way)
        else:
            self.way = own.way() or Refused(500, _NO_BACKEND)
        self.ignored = tuple(
            f"{rule.name}: not done yet: {', '.join(rule.extras)}" for rule in rules if rule.extras
        )


# ---- reading


def _backends_of(protocol: Any) -> Iterator[_Backend]:
    inner = (
        [protocol.opaque, protocol.http1, protocol.http2] if _is_detect(protocol) else [protocol]
    )
    for one in inner:
        for rule in _rules(one.routes):
            yield from rule.backends


def _is_detect(protocol: Any) -> bool:
    return isinstance(protocol, outbound.ProxyProtocol.Detect)


def _rules(routes: Iterable[Any]) -> Iterator[_Rule]:
    for route in routes:
        _check_resource(route.metadata)
        if not route.rules:
            raise ValueError(f"{reference(route.metadata)} has no rules")
        chosen = bool(getattr(route, "hosts", ()) or getattr(route, "snis", ()))
        accrual = own_accrual(route)
        for rule in route.rules:
            means_all = not chosen and _means_all(rule)
            yield _rule(route.metadata, rule, means_all=means_all, accrual=accrual)


def _rule(
    route: meta.Metadata, rule: Any, *, means_all: bool, accrual: FailureAccrual | None
) -> _Rule:
    backends = tuple(
        one._replace(way=guarded(one.way, accrual)) for one in _backends(rule.backends)
    )
    filters, refused, extras = _filters(rule.filters)
    extras += [extra for one in backends for extra in one.extras]
    way = refused or _way_of(backends)
    extras = list(dict.fromkeys(extras))
    asked = tries(rule)
    return _Rule(route, means_all, backends, filters, asked, way, tuple(extras))


def _way_of(backends: tuple[_Backend, ...]) -> Way | None:
    if not backends:
        return Refused(500, _NO_BACKEND)
    several = len(backends) > 1 and not all(isinstance(one.way, Refused) for one in backends)
    return None if several else backends[0].way


def _means_all(rule: Any) -> bool:
    """Without conditions, or with one that everything meets."""
    if "matches" not in rule.DESCRIPTOR.fields_by_name or not rule.matches:
        return True
    return matches.means_all(rule.matches)


def _backends(distribution: Any) -> Iterator[_Backend]:
    kind = distribution.WhichOneof("kind")
    if kind is None:
        raise ValueError("a rule without backends")
    if kind == "empty":
        return
    several = getattr(distribution, kind).backends
    if not several:
        raise ValueError("a rule with an empty list of backends")
    for one in several:
        weighted = kind == "random_available"
        found = _backend(one.backend if weighted else one, weight=one.weight if weighted else 1)
        if found.weight:
            yield found
        if not weighted:
            # The others are for when the first is not available, which is for its balancer to say.
            return


def _backend(message: Any, *, weight: int) -> _Backend:
    backend: outbound.Backend = message.backend
    reference(backend.metadata)
    _check_resource(backend.metadata)
    seconds(backend.queue, "failfast_timeout")
    filters, refused, extras = _filters(message.filters)
    if filters.rewrite is not None:
        # What one way has changed of a request, another could not take back.
        raise ValueError("a rewrite of what comes to one backend")
    way = refused or _way(backend)
    return _Backend(way, weight, backend.metadata, filters, tuple(extras))


def _way(backend: outbound.Backend) -> Way:
    kind = backend.WhichOneof("kind")
    if kind == "forward":
        endpoint = messages.endpoint(backend.forward, shared={}, once=messages.Once())
        if endpoint is None:
            raise ValueError("a backend at what is no address")
        return Direct(endpoint)
    if kind == "balancer":
        return Balanced(_balanced(backend.balancer))
    return Refused(500, _NO_BACKEND)


def _balanced(balancer: outbound.Backend.BalanceP2c) -> Authority:
    if balancer.WhichOneof("load") is None:
        raise ValueError("a balancer without a load")
    if balancer.HasField("peak_ewma"):
        seconds(balancer.peak_ewma, "default_rtt")
        seconds(balancer.peak_ewma, "decay")
    host, port = split_host_port(balancer.discovery.dst.path)
    if not is_host_name(host) or not port:
        raise ValueError(f"{balancer.discovery.dst.path!r} cannot be discovered")
    return Authority(host.lower(), port)


def _filters(messages: Sequence[Any]) -> tuple[Filters, Refused | None, list[str]]:
    """What is changed, what all requests or connections get instead, and what is left out."""
    if messages and "forbidden" in messages[0].DESCRIPTOR.fields_by_name:
        return NO_FILTERS, barred(messages), []
    filters, extras = filters_of(messages, forbidden=_FORBIDDEN)
    injected = filters.injected
    if injected is None or not injected.always:
        return filters, None, extras
    return filters, Refused(injected.status, injected.text, injected.code), extras


def _check_resource(message: meta.Metadata) -> None:
    resource = message.resource
    if message.WhichOneof("kind") == "resource" and not all(
        (resource.group, resource.kind, resource.name, resource.namespace)
    ):
        raise ValueError("a resource whose name is not whole")
