"""Services of a shop, and questions about where their clients' traffic goes."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from linkerd2_py.controlplane.mesh.objects import Key, PortSpec, Service
from linkerd2_py.controlplane.mesh.routes import (
    Backend,
    GRPCRoute,
    GRPCRule,
    HTTPMatch,
    HTTPRoute,
    HTTPRule,
    PathMatch,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.answers import Policies
from linkerd2_py.controlplane.policy.outbound.targets import AddressTarget, NamedTarget, Question
from linkerd2_py.proto.gen import outbound_pb2 as outbound

IP: Final = "10.96.0.10"
WEB: Final = Parent("core", "Service", "shop", "web", 80)
EVERYTHING: Final = (HTTPMatch(PathMatch("PathPrefix", "/")),)


def service(
    name: str = "web",
    *,
    annotations: Mapping[str, str] | None = None,
    app_protocol: str = "",
    opaque: bool = False,
    ips: tuple[str, ...] = (IP,),
) -> Service:
    """With one port, 80."""
    return Service(
        "shop",
        name,
        (PortSpec("http", 80, 8080, opaque=opaque, app_protocol=app_protocol),),
        ips=ips,
        annotations=annotations or {},
    )


def backend(
    name: str, *, port: int = 80, weight: int = 1, group: str = "core", kind: str = "Service"
) -> Backend:
    """Something in the shop."""
    return Backend(group, kind, "shop", name, port, weight)


def http_route(
    name: str = "route", *, namespace: str = "shop", created: float = 0.0, to: str = "v2"
) -> HTTPRoute:
    """Of web's port 80, with one rule for everything."""
    rule = HTTPRule((backend(to),), matches=EVERYTHING)
    return HTTPRoute(namespace=namespace, name=name, parents=(WEB,), created=created, rules=(rule,))


def grpc_route(name: str = "route") -> GRPCRoute:
    """Of web's port 80, with one rule for every call."""
    return GRPCRoute(
        namespace="shop", name=name, parents=(WEB,), rules=(GRPCRule((backend("v2"),)),)
    )


def at(ip: str = IP, *, port: int = 80, of: str = "client") -> Question:
    """A connection of a client in the namespace `of`."""
    return Question(AddressTarget(ip_address(ip), port), of)


def named(name: str, *, port: int = 80, of: str = "client") -> Question:
    """A request of a client in the namespace `of`."""
    return Question(NamedTarget(Key("shop", name), port), of)


def policy(
    store: MeshStore, question: Question | None = None, *, cluster: Cluster | None = None
) -> outbound.OutboundPolicy:
    """What is answered now; the question is about web where none is given."""
    policies = Policies(store.mesh, cluster=cluster or Cluster())
    return outbound.OutboundPolicy.FromString(policies.of(question or at()).encoded)


def http_routes(found: outbound.OutboundPolicy) -> list[outbound.HttpRoute]:
    """Those for HTTP/1, where the protocol is detected."""
    return list(found.protocol.detect.http1.routes)
