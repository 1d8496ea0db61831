"""Where requests go: balanced over who serves a service, forwarded to an address, or nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.base.names import service_authority
from linkerd2_py.controlplane.mesh.networks import Address
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.routes import Backend
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.outbound.annotated import Penalty
from linkerd2_py.controlplane.policy.outbound.messages import (
    duration,
    implicit,
    reference,
    tcp_address,
)
from linkerd2_py.controlplane.policy.outbound.resolve import Place
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import outbound_pb2 as outbound

_QUEUE: Final = outbound.Queue(capacity=100, failfast_timeout=Duration(seconds=3))
_DEFAULT_RTT: Final = Duration(nanos=30_000_000)
_DECAY: Final = Duration(seconds=10)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a backend of a route leads, with its weight. `problem` says why nothing can be sent there."""

    backend: outbound.Backend
    weight: int
    declared: Backend
    problem: str = ""


def default_backend(place: Place, *, penalty: Penalty | None) -> outbound.Backend:
    """Of what no route sends elsewhere."""
    metadata = reference(place.group, place.kind, *place.key, port=place.port)
    if place.is_egress:
        return forward(place.address, port=place.port, metadata=metadata)
    # Of what is opaque nobody knows whether it failed.
    counted = None if place.protocol == "opaque" else penalty
    return _balanced(place.key, port=place.port, metadata=metadata, penalty=counted)


def forward(
    address: Address | None, *, port: int, metadata: meta.Metadata, weight: int = 1
) -> outbound.Backend:
    """To where the connection was going; nothing can be sent on where that is not known."""
    if address is None:
        return outbound.Backend(metadata=metadata, queue=_QUEUE)
    to = destination.WeightedAddr(addr=tcp_address(address, port=port), weight=weight)
    return outbound.Backend(metadata=metadata, forward=to, queue=_QUEUE)


def destinations(
    backends: Iterable[Backend], *, place: Place, mesh: Mesh, penalty: Penalty | None
) -> list[Destination]:
    """Those that a rule of a route at `place` names."""
    return [_destination(one, place=place, mesh=mesh, penalty=penalty) for one in backends]


def distribution(
    of: Any,  # the four kinds of routes repeat these messages, each with its own
    found: Sequence[Destination],
    *,
    default: outbound.Backend,
    filters: Callable[[Destination], Sequence[Any]] = lambda _: (),
) -> Any:
    """Among the destinations of a rule by weight; without any, to the default."""
    if not found:
        first = of.Distribution.FirstAvailable(backends=[of.RouteBackend(backend=default)])
        return of.Distribution(first_available=first)
    weighted = [
        of.WeightedRouteBackend(
            backend=of.RouteBackend(backend=one.backend, filters=filters(one)), weight=one.weight
        )
        for one in found
    ]
    return of.Distribution(random_available=of.Distribution.RandomAvailable(backends=weighted))


def _destination(
    backend: Backend, *, place: Place, mesh: Mesh, penalty: Penalty | None
) -> Destination:
    if backend.kind == "EgressNetwork":
        return _to_network(backend, place=place, mesh=mesh)
    if backend.kind != "Service":
        return _nowhere(backend, f"unsupported backend type {backend.group} {backend.kind}")
    if not backend.port:
        return _nowhere(backend, f"missing port for backend Service {backend.name}")
    key = Key(backend.namespace, backend.name)
    metadata = reference("core", "Service", *key, port=backend.port)
    if key not in mesh.services:
        return _nowhere(backend, f"Service not found {backend.name}", metadata)
    found = _balanced(key, port=backend.port, metadata=metadata, penalty=penalty)
    return Destination(found, backend.weight, backend)


def _to_network(backend: Backend, *, place: Place, mesh: Mesh) -> Destination:
    key = Key(backend.namespace, backend.name)
    port = backend.port or (place.port if place.address else 0)
    metadata = reference("policy.linkerd.io", "EgressNetwork", *key, port=port)
    if key not in mesh.egress_networks:
        return _nowhere(backend, f"EgressNetwork not found {backend.name}", metadata)
    if not place.is_egress:
        reason = "EgressNetwork backends attach to EgressNetwork parents only"
        return _nowhere(backend, reason, metadata)
    if key != place.key:
        reason = "Route with EgressNetwork backend needs to have the same EgressNetwork as a parent"
        return _nowhere(backend, reason, metadata)
    found = forward(place.address, port=place.port, metadata=metadata, weight=backend.weight)
    return Destination(found, backend.weight, backend)


def _nowhere(backend: Backend, problem: str, metadata: meta.Metadata | None = None) -> Destination:
    found = outbound.Backend(metadata=metadata or implicit("invalid"), queue=_QUEUE)
    return Destination(found, backend.weight, backend, problem)


def _balanced(
    service: Key, *, port: int, metadata: meta.Metadata, penalty: Penalty | None
) -> outbound.Backend:
    path = service_authority(service.name, namespace=service.namespace, port=port)
    discovery = outbound.Backend.EndpointDiscovery
    balancer = outbound.Backend.BalanceP2c(
        discovery=discovery(dst=discovery.DestinationGet(path=path))
    )
    if penalty is None:
        balancer.peak_ewma.CopyFrom(
            outbound.Backend.BalanceP2c.PeakEwma(default_rtt=_DEFAULT_RTT, decay=_DECAY)
        )
    else:
        balancer.penalty_peak_ewma.CopyFrom(_penalized(penalty))
    return outbound.Backend(metadata=metadata, balancer=balancer, queue=_QUEUE)


def _penalized(penalty: Penalty) -> outbound.Backend.BalanceP2c.PenaltyPeakEwma:
    return outbound.Backend.BalanceP2c.PenaltyPeakEwma(
        default_rtt=_DEFAULT_RTT,
        decay=_DECAY,
        penalty=duration(penalty.penalty_ms),
        max_retry_after=duration(penalty.max_retry_after_ms),
        penalty_decay=_DECAY,
    )
