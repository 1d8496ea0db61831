"""What holds for a port of a workload: how it is read, and who is let in."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.mesh.inbound import InboundSettings
from linkerd2_py.controlplane.mesh.policy import HTTPLocalRateLimitPolicy, Server
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.inbound import authorizations
from linkerd2_py.controlplane.policy.inbound.defaults import default_policy
from linkerd2_py.controlplane.policy.inbound.messages import (
    authorization_messages,
    concurrency_limit_message,
    labels,
    rate_limit_message,
)
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.inbound.reading import Reading
from linkerd2_py.controlplane.policy.inbound.routes import (
    default_http_routes,
    grpc_routes,
    http_routes,
    probed_paths,
)
from linkerd2_py.controlplane.policy.inbound.servers import server_of
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.proto.gen import inbound_pb2 as inbound


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """An encoded Server and what it was made from; None of a workload that is not there, or has no proxy."""

    encoded: bytes | None
    depends_on: frozenset[Topic]


def port_policy(question: PortQuestion, *, mesh: Mesh, settings: Settings) -> PortPolicy:
    """What holds now: what the port's Server says or, where it has none, a default policy."""
    reading = Reading(
        mesh, cluster=settings.cluster, tokens=question.tokens, external=question.external
    )
    found = reading.workload(question.workload)
    if found is None:
        return PortPolicy(None, reading.depends_on)
    workload_labels, said = found
    server = server_of(question, labels=workload_labels, said=said, reading=reading)
    if server is None:
        message = _by_default(question, said=said, reading=reading, settings=settings)
    else:
        probed = probed_paths(said, port=question.port)
        message = _of_server(server, probed=probed, reading=reading, settings=settings)
    return PortPolicy(message.SerializeToString(deterministic=True), reading.depends_on)


def _by_default(
    question: PortQuestion, *, said: InboundSettings, reading: Reading, settings: Settings
) -> inbound.Server:
    # A workload's own word goes first; only without it does that of its namespace count.
    of_namespace = "" if said.policy else reading.default_policy(question.workload.namespace)
    policy = default_policy(
        (said.policy, of_namespace, settings.default_policy),
        identified=question.port in said.identified,
    )
    allowed = authorizations.of_default(policy)
    if question.port in said.opaque:
        protocol = inbound.ProxyProtocol(opaque=inbound.ProxyProtocol.Opaque())
    else:
        probed = probed_paths(said, port=question.port)
        routes = default_http_routes(probed, settings=settings)
        protocol = _detect(routes, limit=None, settings=settings)
    return inbound.Server(
        protocol=protocol,
        authorizations=authorization_messages(allowed, settings=settings),
        labels=labels("default", policy),
    )


def _of_server(
    server: Server, *, probed: list[str], reading: Reading, settings: Settings
) -> inbound.Server:
    allowed = authorizations.of_server(server, reading=reading)
    return inbound.Server(
        protocol=_protocol(server, probed=probed, reading=reading, settings=settings),
        authorizations=authorization_messages(allowed, settings=settings),
        labels=labels("server", server.name),
        concurrency_limit=_concurrency(server, settings=settings),
    )


def _concurrency(server: Server, *, settings: Settings) -> inbound.HttpConcurrencyLimit | None:
    """None of a port where nobody looks for requests."""
    if server.concurrency is None or server.proxy_protocol in {"opaque", "TLS"}:
        return None
    return concurrency_limit_message(server.concurrency, settings=settings)


def _protocol(
    server: Server, *, probed: list[str], reading: Reading, settings: Settings
) -> inbound.ProxyProtocol:
    """A protocol that nobody knows is one to be detected, as one that is not said."""
    protocol = inbound.ProxyProtocol
    match server.proxy_protocol:
        case "opaque":
            return protocol(opaque=protocol.Opaque())
        case "TLS":
            return protocol(tls=protocol.Tls())
        case "gRPC":
            calls = grpc_routes(server, reading=reading, settings=settings)
            return protocol(grpc=protocol.Grpc(routes=calls))
    routes = http_routes(server, probed=probed, reading=reading, settings=settings)
    limits = min(reading.rate_limits(server.key), key=_age, default=None)
    limit = rate_limit_message(limits, settings=settings) if limits else None
    match server.proxy_protocol:
        case "HTTP/1":
            return protocol(http1=protocol.Http1(routes=routes, local_rate_limit=limit))
        case "HTTP/2":
            return protocol(http2=protocol.Http2(routes=routes, local_rate_limit=limit))
    return _detect(routes, limit=limit, settings=settings)


def _detect(
    routes: list[inbound.HttpRoute],
    *,
    limit: inbound.HttpLocalRateLimit | None,
    settings: Settings,
) -> inbound.ProxyProtocol:
    detect = inbound.ProxyProtocol.Detect(
        timeout=Duration(seconds=settings.detect_timeout_s),
        http_routes=routes,
        http_local_rate_limit=limit,
    )
    return inbound.ProxyProtocol(detect=detect)


def _age(policy: HTTPLocalRateLimitPolicy) -> tuple[float, str]:
    return policy.created, policy.name
