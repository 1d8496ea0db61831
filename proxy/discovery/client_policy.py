"""What the policy API says of a target that the workload calls, as far as it can be done.

Requests are not matched against routes yet. One route that means everything, with one backend, is done as it
stands. Anything richer leads to the service itself, and what is left out is said. What refuses is never left
out: as nobody can tell which requests a refusing rule means, it refuses all. ValueError for what Linkerd's
proxy does not accept either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.addresses import Authority, is_host_name, split_host_port
from linkerd2_py.proxy.discovery import messages
from linkerd2_py.proxy.discovery.messages import Endpoint
from linkerd2_py.proxy.policy.messages import grpc_rule, http_rule, reference, seconds

_NO_ROUTE: Final = "no route matches"
_NO_BACKEND: Final = "the route has no backend"
_FORBIDDEN: Final = "outbound policy forbids it"
# What is answered to gRPC's codes; all others: 500.
_STATUS_OF_CODE: Final = {4: 504, 5: 404, 7: 403, 8: 429, 14: 503}


class Balanced(NamedTuple):
    """Among the endpoints of a name."""

    name: Authority


class Direct(NamedTuple):
    """To one endpoint."""

    endpoint: Endpoint


class Refused(NamedTuple):
    """Nowhere; with a status where HTTP is spoken."""

    status: int
    text: str


Way = Balanced | Direct | Refused


class ClientPolicy(NamedTuple):
    """Where traffic goes that is HTTP, and where what is not; None: there is none of it. `ignored`: what is
    left out, a line each.
    """

    http: Way | None
    opaque: Way | None
    detect_timeout_s: float = 0.0
    ignored: tuple[str, ...] = ()


class _Backend(NamedTuple):
    way: Way
    reference: meta.Metadata


class _Rule(NamedTuple):
    """One rule of a route. `means_all`: every request. `way`: what becomes of those that it means, None: it
    has several backends. `extras`: what else it asks for.
    """

    route: str
    means_all: bool
    backends: tuple[_Backend, ...]
    way: Way | None
    extras: tuple[str, ...]


def client_policy(message: outbound.OutboundPolicy) -> ClientPolicy:
    """What becomes of traffic to one target."""
    reference(message.metadata)
    _check_resource(message.metadata)
    kind = message.protocol.WhichOneof("kind")
    if kind is None:
        raise ValueError("a policy without a protocol")
    protocol, own = getattr(message.protocol, kind), _Own(message)
    if kind == "detect":
        return _detected(protocol, own)
    found = _Decided(tuple(_rules(protocol.routes)), own, protocol)
    if kind in {"opaque", "tls"}:
        return ClientPolicy(None, found.way, ignored=found.ignored)
    return ClientPolicy(found.way, None, ignored=found.ignored)


def _detected(protocol: outbound.ProxyProtocol.Detect, own: _Own) -> ClientPolicy:
    for name in ("http1", "http2", "opaque"):
        if not protocol.HasField(name):
            raise ValueError(f"detection without {name}")
    http1, http2, opaque = (
        _Decided(tuple(_rules(one.routes)), own, one)
        for one in (protocol.http1, protocol.http2, protocol.opaque)
    )
    http = http2.way if isinstance(http2.way, Refused) else http1.way
    ignored = [*http1.ignored, *http2.ignored, *opaque.ignored]
    if len({http, http2.way, opaque.way} - _refusals(http, http2.way, opaque.way)) > 1:
        ignored.append("what is no HTTP/1 goes the same way, not where its own route leads")
    return ClientPolicy(
        http,
        opaque.way,
        detect_timeout_s=seconds(protocol, "timeout"),
        ignored=tuple(dict.fromkeys(ignored)),
    )


def _refusals(*ways: Way) -> set[Way]:
    return {way for way in ways if isinstance(way, Refused)}


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
                return backend.way
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
    """What becomes of the traffic of one protocol."""

    def __init__(self, rules: tuple[_Rule, ...], own: _Own, protocol: Any) -> None:
        refusing = [rule for rule in rules if isinstance(rule.way, Refused)]
        lines: list[str] = []
        if not rules:
            self.way: Way = Refused(404, _NO_ROUTE)
        elif refusing:
            self.way = refusing[0].way or Refused(500, _NO_BACKEND)
            if len(rules) > 1:
                names = _names(refusing)
                lines.append(
                    f"{names} refuses some requests: routes are not matched yet, all are refused"
                )
        elif len(rules) == 1 and rules[0].means_all and rules[0].way is not None:
            self.way = rules[0].way
        else:
            self.way = own.way() or Refused(500, _NO_BACKEND)
            lines.append(
                f"{_names(rules)}: routes are not matched yet; all goes to the service itself"
            )
        lines += [
            f"{rule.route}: not done yet: {', '.join(rule.extras)}" for rule in rules if rule.extras
        ]
        if "failure_accrual" in protocol.DESCRIPTOR.fields_by_name and protocol.HasField(
            "failure_accrual"
        ):
            lines.append("failure accrual is not done yet")
        self.ignored = tuple(lines)


def _names(rules: Iterable[_Rule]) -> str:
    return ", ".join(dict.fromkeys(rule.route for rule in rules))


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
        name = str(reference(route.metadata))
        if not route.rules:
            raise ValueError(f"{name} has no rules")
        chosen = bool(getattr(route, "hosts", ()) or getattr(route, "snis", ()))
        for rule in route.rules:
            yield _rule(name, rule, means_all=not chosen and _means_all(rule))


def _rule(name: str, rule: Any, *, means_all: bool) -> _Rule:
    backends = tuple(_backends(rule.backends))
    refused, extras = _filtered(rule.filters)
    if _says(rule, "retry"):
        extras.append("retries")
    if _says(rule, "requestTimeout") or (_says(rule, "timeouts") and rule.timeouts.ListFields()):
        extras.append("timeouts")
    return _Rule(name, means_all, backends, refused or _way_of(backends), tuple(extras))


def _way_of(backends: tuple[_Backend, ...]) -> Way | None:
    if not backends:
        return Refused(500, _NO_BACKEND)
    several = len(backends) > 1 and not all(isinstance(one.way, Refused) for one in backends)
    return None if several else backends[0].way


def _means_all(rule: Any) -> bool:
    """Without conditions, or with one that everything meets."""
    if "matches" not in rule.DESCRIPTOR.fields_by_name or not rule.matches:
        return True
    of_grpc = isinstance(rule, outbound.GrpcRoute.Rule)
    found = map(grpc_rule if of_grpc else http_rule, rule.matches)
    # All of them, for one that is wrong makes the policy wrong.
    return sum(one.is_for_all and not one.conditional for one in found) > 0


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
        found = _backend(one.backend if weighted else one)
        if not weighted or one.weight:
            yield found


def _backend(message: Any) -> _Backend:
    backend: outbound.Backend = message.backend
    reference(backend.metadata)
    _check_resource(backend.metadata)
    seconds(backend.queue, "failfast_timeout")
    refused, _ = _filtered(message.filters)
    return _Backend(refused or _way(backend), backend.metadata)


def _way(backend: outbound.Backend) -> Way:
    kind = backend.WhichOneof("kind")
    if kind == "forward":
        endpoint = messages.endpoint(backend.forward, shared={})
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


def _filtered(filters: Iterable[Any]) -> tuple[Refused | None, list[str]]:
    """Whether all is refused, and what is not done."""
    refused, extras = None, []
    for one in filters:
        kind = one.WhichOneof("kind")
        if kind is None:
            raise ValueError("a filter without a kind")
        if kind in {"forbidden", "invalid"}:
            refused = refused or Refused(403, _FORBIDDEN)
        elif kind == "failure_injector" and _is_always(one.failure_injector):
            refused = refused or _injected(one.failure_injector)
        else:
            extras.append(kind.replace("_", " "))
    return refused, extras


def _is_always(injector: Any) -> bool:
    ratio = injector.ratio
    return not injector.HasField("ratio") or 0 < ratio.denominator <= ratio.numerator


def _injected(injector: Any) -> Refused:
    if "status" in injector.DESCRIPTOR.fields_by_name:
        status = injector.status
        if not 200 <= status <= 599:
            raise ValueError(f"a failure with status {status}")
        return Refused(status, injector.message or _FORBIDDEN)
    return Refused(_STATUS_OF_CODE.get(injector.code, 500), injector.message or _FORBIDDEN)


def _says(message: Any, field: str) -> bool:
    return field in message.DESCRIPTOR.fields_by_name and message.HasField(field)


def _check_resource(message: meta.Metadata) -> None:
    resource = message.resource
    if message.WhichOneof("kind") == "resource" and not all(
        (resource.group, resource.kind, resource.name, resource.namespace)
    ):
        raise ValueError("a resource whose name is not whole")
