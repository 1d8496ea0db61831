"""The small parts that messages of all kinds of routes are made of."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.mesh.networks import Address
from linkerd2_py.controlplane.mesh.routes import Route
from linkerd2_py.controlplane.policy.outbound.annotated import Accrual, Timeouts
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound

_LOW_64: Final = (1 << 64) - 1
RETRY_BACKOFF: Final = outbound.ExponentialBackoff(
    min_backoff=Duration(nanos=25_000_000),
    max_backoff=Duration(nanos=250_000_000),
    jitter_ratio=1.0,
)
RETRIED_BYTES: Final = 64 * 1024
"""Of a request that is kept to be sent again."""


def implicit(name: str) -> meta.Metadata:
    """What no object of the cluster says."""
    return meta.Metadata(default=name)


def reference(group: str, kind: str, namespace: str, name: str, *, port: int = 0) -> meta.Metadata:
    """An object of the cluster."""
    return meta.Metadata(
        resource=meta.Resource(group=group, kind=kind, name=name, namespace=namespace, port=port)
    )


def reference_to(route: Route) -> meta.Metadata:
    """The object that a route is."""
    return reference(*route.key)


def duration(ms: int | None) -> Duration | None:
    """In milliseconds; None stays None."""
    if ms is None:
        return None
    seconds, rest = divmod(ms, 1000)
    return Duration(seconds=seconds, nanos=rest * 1_000_000)


def timeouts(found: Timeouts) -> http_route.Timeouts:
    """Of one rule."""
    return http_route.Timeouts(
        request=duration(found.request),
        response=duration(found.response),
        idle=duration(found.idle),
    )


def tcp_address(address: Address, *, port: int) -> net.TcpAddress:
    """An address as big-endian numbers."""
    number = int(address)
    if address.version == 4:
        return net.TcpAddress(ip=net.IPAddress(ipv4=number), port=port)
    parts = net.IPv6(first=number >> 64, last=number & _LOW_64)
    return net.TcpAddress(ip=net.IPAddress(ipv6=parts), port=port)


def failure_accrual(found: Accrual | None) -> outbound.FailureAccrual | None:
    """The breaker of every endpoint of a target."""
    if found is None:
        return None
    backoff = outbound.ExponentialBackoff(
        min_backoff=duration(found.min_penalty_ms),
        max_backoff=duration(found.max_penalty_ms),
        jitter_ratio=found.jitter,
        respect_retry_after_hint=found.honors_retry_after,
    )
    rate = found.success_rate
    if rate is None:
        consecutive = outbound.FailureAccrual.ConsecutiveFailures(
            max_failures=found.max_failures, backoff=backoff
        )
        return outbound.FailureAccrual(consecutive_failures=consecutive)
    unified = outbound.FailureAccrual.Unified(
        success_rate_threshold=rate.threshold,
        decay=duration(rate.window_ms),
        min_requests=rate.min_requests,
        max_consecutive_failures=found.max_failures,
        backoff=backoff,
    )
    return outbound.FailureAccrual(unified=unified)
