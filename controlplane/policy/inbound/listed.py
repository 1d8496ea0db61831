"""Every object that lets somebody call a workload, with the Server and the route that it is about: for
people, and decided as it is for proxies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import Server, Target, TargetKind
from linkerd2_py.controlplane.mesh.routes import GRPCRoute, HTTPRoute
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.inbound import authorizations
from linkerd2_py.controlplane.policy.inbound.authorizations import Authorization
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.inbound.reading import Reading
from linkerd2_py.controlplane.policy.inbound.servers import server_of
from linkerd2_py.controlplane.policy.workload import AskingWorkload


class Allowed(NamedTuple):
    """What is about all of a Server has no `route`."""

    route: HTTPRoute | GRPCRoute | None
    server: Server
    authorization: Authorization


def allowed_to(pod: Key, *, mesh: Mesh, cluster: Cluster) -> Iterator[Allowed]:
    """What is allowed by objects, at any port of a pod; nothing without a proxy, which would know of it."""
    reading = Reading(mesh, cluster=cluster, external=True)
    for server in _servers(AskingWorkload(pod.namespace, pod=pod.name), mesh=mesh, reading=reading):
        for one in authorizations.of_server(server, reading=reading):
            if one.kind != "default":
                yield Allowed(None, server, one)
        routes: list[HTTPRoute | GRPCRoute] = [
            *reading.http_routes(server.key),
            *reading.grpc_routes(server.key),
        ]
        for route in routes:
            kind: TargetKind = "GRPCRoute" if isinstance(route, GRPCRoute) else "HTTPRoute"
            target = Target(kind, route.name, route.group)
            for one in authorizations.of_route(route.namespace, target, reading=reading):
                yield Allowed(route, server, one)


def _servers(workload: AskingWorkload, *, mesh: Mesh, reading: Reading) -> list[Server]:
    """Those that hold for some port of it."""
    found = reading.workload(workload)
    if found is None:
        return []
    labels, said = found
    named = {server.port for server in mesh.servers_in(workload.namespace)}
    ports = {port for port in named if isinstance(port, int)}
    ports |= {one.number for one in said.names if one.name in named}
    servers = (
        server_of(PortQuestion(workload, port), labels=labels, said=said, reading=reading)
        for port in sorted(ports)
    )
    return list({server.key: server for server in servers if server}.values())
