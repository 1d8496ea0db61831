"""A real gRPC policy controller whose every stream is played by the test.

Answers set in `ports` and `targets` are sent at once to every new stream of that port or target; `tell` sends
another one to the open streams too. Targets are `host:port`, whether they were asked for by address or name.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import inbound_pb2_grpc as inbound_service
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import outbound_pb2_grpc as outbound_service

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "contract" / "policy"


def recorded_server(name: str) -> inbound.Server:
    """What Linkerd's controller said of a port, where its recordings are."""
    return inbound.Server.FromString(_recorded(name))


def recorded_policy(name: str) -> outbound.OutboundPolicy:
    """The same of a target."""
    return outbound.OutboundPolicy.FromString(_recorded(name))


def _recorded(name: str) -> bytes:
    case = json.loads((RECORDED / f"{name}.json").read_text())
    return bytes.fromhex(case["wire_hex"][0])


# ---- messages of our own


def authz(
    name: str = "some",
    *,
    networks: Iterable[str] = ("0.0.0.0/0", "::/0"),
    excepts: Iterable[str] = (),
    tls: bool = False,
    identities: Iterable[str] = (),
    suffixes: Iterable[str] = (),
) -> inbound.Authz:
    """An authorization; with names or suffixes (dotted text, "" for all) it asks for identities."""
    made = inbound.Authz(metadata=resource("authorizationpolicy", name))
    for text in networks:
        made.networks.add(net=network(text), **{"except": [network(one) for one in excepts]})
    identities, suffixes = list(identities), list(suffixes)
    if identities or suffixes:
        named = made.authentication.meshTLS.identities
        named.identities.extend(inbound.Identity(name=one) for one in identities)
        named.suffixes.extend(
            inbound.IdentitySuffix(parts=one.split(".") if one else []) for one in suffixes
        )
    elif tls:
        made.authentication.meshTLS.unauthenticated.SetInParent()
    else:
        made.authentication.unauthenticated.SetInParent()
    return made


def server(
    *authorizations: inbound.Authz,
    kind: str = "detect",
    name: str = "web",
    routes: Iterable[Any] = (),
) -> inbound.Server:
    """What holds for a port."""
    labels = {"group": "policy.linkerd.io", "kind": "server", "name": name}
    made = inbound.Server(authorizations=authorizations, labels=labels)
    spoken = getattr(made.protocol, kind)
    spoken.SetInParent()
    if kind == "detect":
        spoken.timeout.seconds = 10
        spoken.http_routes.extend(routes)
    elif kind in {"http1", "http2", "grpc"}:
        spoken.routes.extend(routes)
    return made


def route(
    name: str,
    *authorizations: inbound.Authz,
    path: str = "/",
    exact: bool = False,
    method: str = "",
) -> inbound.HttpRoute:
    """A route of HTTP that means one path."""
    made = inbound.HttpRoute(metadata=resource("HTTPRoute", name), authorizations=authorizations)
    match = made.rules.add().matches.add()
    setattr(match.path, "exact" if exact else "prefix", path)
    if method:
        match.method.registered = match.method.Registered.Value(method)  # type: ignore[assignment]
    return made


def default_route(name: str, *authorizations: inbound.Authz, **match: Any) -> inbound.HttpRoute:
    made = route(name, *authorizations, **match)
    made.metadata.CopyFrom(meta.Metadata(default=name))
    return made


def resource(kind: str, name: str, *, group: str = "policy.linkerd.io") -> meta.Metadata:
    return meta.Metadata(
        resource=meta.Resource(group=group, kind=kind, name=name, namespace="shop")
    )


def network(text: str) -> net.IPNetwork:
    host, _, bits = text.partition("/")
    address = ip_address(host)
    return net.IPNetwork(ip=ip_message(host), prefix_len=int(bits or address.max_prefixlen))


def ip_message(host: str) -> net.IPAddress:
    address = ip_address(host)
    if address.version == 4:
        return net.IPAddress(ipv4=int(address))
    first, last = divmod(int(address), 2**64)
    return net.IPAddress(ipv6=net.IPv6(first=first, last=last))


# ---- the controller


class _Stream:
    """One open call. What is put into `queue` is sent; None ends it, a code fails it."""

    def __init__(self, subject: Any, workload: str) -> None:
        self.subject = subject
        self.workload = workload
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.ended = asyncio.Event()


class PolicyStub(
    inbound_service.InboundServerPoliciesServicer, outbound_service.OutboundPoliciesServicer
):
    """async with PolicyStub() as stub: … stub.address"""

    def __init__(self) -> None:
        self.ports: dict[int, Any] = {}
        self.targets: dict[str, Any] = {}
        self.default_target: Any = grpc.StatusCode.NOT_FOUND
        self.streams: list[_Stream] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        inbound_service.add_InboundServerPoliciesServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        outbound_service.add_OutboundPoliciesServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        """Cut all streams and stop listening."""
        await self._server.stop(None)
        # gRPC's threads and sockets end with the last server that is alive.
        del self._server

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def variables(self) -> dict[str, str]:
        """What makes a proxy ask this controller."""
        return {"POLICY_SVC_ADDR": self.address, "POLICY_WORKLOAD": '{"ns":"shop","pod":"web-0"}'}

    def tell(self, subject: int | str, answer: Any) -> None:
        """From now on that is the answer; open streams hear it too."""
        (self.ports if isinstance(subject, int) else self.targets)[subject] = answer  # type: ignore[index]
        for stream in self.open(subject):
            stream.queue.put_nowait(answer)

    def open(self, subject: int | str) -> list[_Stream]:
        return [one for one in self.streams if one.subject == subject and not one.ended.is_set()]

    def count(self, subject: int | str) -> int:
        """How many streams about it there have been."""
        return sum(1 for one in self.streams if one.subject == subject)

    async def WatchPort(self, request: inbound.PortSpec, context: Any) -> AsyncIterator[Any]:  # noqa: N802  # gRPC's name
        answer = self.ports.get(request.port)
        async for message in self._play(request.port, request.workload, answer, context):
            yield message

    async def Watch(self, request: outbound.TrafficSpec, context: Any) -> AsyncIterator[Any]:  # noqa: N802  # gRPC's name
        subject = request.authority or _text(request.addr)
        answer = self.targets.get(subject, self.default_target)
        async for message in self._play(subject, request.source_workload, answer, context):
            yield message

    async def _play(
        self, subject: Any, workload: str, answer: Any, context: Any
    ) -> AsyncIterator[Any]:
        stream = _Stream(subject, workload)
        self.streams.append(stream)
        try:
            if answer is not None:
                stream.queue.put_nowait(answer)
            while (message := await stream.queue.get()) is not None:
                if isinstance(message, grpc.StatusCode):
                    await context.abort(message, "refused by the test")
                yield message
        finally:
            stream.ended.set()


def _text(address: net.TcpAddress) -> str:
    if address.ip.WhichOneof("ip") == "ipv4":
        return f"{ip_address(address.ip.ipv4)}:{address.port}"
    packed = address.ip.ipv6.first.to_bytes(8) + address.ip.ipv6.last.to_bytes(8)
    return f"[{ip_address(packed)}]:{address.port}"


# ---- messages about targets


def service_of(path: str) -> meta.Metadata:
    host, _, port = path.partition(":")
    name, namespace = host.split(".")[:2]
    return meta.Metadata(
        resource=meta.Resource(
            group="core", kind="Service", name=name, namespace=namespace, port=int(port)
        )
    )


def backend(path: str | tuple[str, int] | None) -> outbound.Backend:
    """`path`: a name to balance among, an address to forward to, or nothing."""
    made = outbound.Backend()
    made.queue.failfast_timeout.seconds = 3
    if isinstance(path, str):
        made.metadata.CopyFrom(service_of(path))
        made.balancer.discovery.dst.path = path
        made.balancer.peak_ewma.default_rtt.nanos = 30_000_000
        made.balancer.peak_ewma.decay.seconds = 10
        return made
    made.metadata.default = "forward" if path else "nothing"
    if path is not None:
        made.forward.addr.ip.CopyFrom(ip_message(path[0]))
        made.forward.addr.port = path[1]
    return made


def outbound_route(
    *backends: outbound.Backend, name: str = "http", path: str = "/", failure: str = ""
) -> outbound.HttpRoute:
    """A route of HTTP to one of these; `failure`: its backends answer 500 with that text."""
    made = outbound.HttpRoute(metadata=meta.Metadata(default=name))
    rule = made.rules.add()
    rule.matches.add().path.prefix = path
    for one in backends:
        weighted = rule.backends.random_available.backends.add(weight=1)
        weighted.backend.backend.CopyFrom(one)
        if failure:
            injector = weighted.backend.filters.add().failure_injector
            injector.status, injector.message = 500, failure
    return made


def opaque_route(
    *backends: outbound.Backend, name: str = "opaq", forbidden: bool = False
) -> outbound.OpaqueRoute:
    made = outbound.OpaqueRoute(metadata=meta.Metadata(default=name))
    rule = made.rules.add()
    for one in backends:
        rule.backends.first_available.backends.add().backend.CopyFrom(one)
    if not backends:
        rule.backends.empty.SetInParent()
    if forbidden:
        rule.filters.add().forbidden.SetInParent()
    return made


def detected(
    path: str, *routes: outbound.HttpRoute, opaque: outbound.OpaqueRoute | None = None
) -> outbound.OutboundPolicy:
    """A policy of a service; without routes, all goes to it."""
    made = outbound.OutboundPolicy(metadata=service_of(path))
    kinds = made.protocol.detect
    kinds.timeout.seconds = 10
    for one in (kinds.http1, kinds.http2):
        one.routes.extend(routes or [outbound_route(backend(path))])
    kinds.opaque.routes.append(opaque or opaque_route(backend(path)))
    return made


def opaque(path: str, route: outbound.OpaqueRoute | None = None) -> outbound.OutboundPolicy:
    made = outbound.OutboundPolicy(metadata=service_of(path))
    made.protocol.opaque.routes.append(route or opaque_route(backend(path)))
    return made


def tls_route(
    *backends: tuple[outbound.Backend, int],
    name: str = "tls",
    snis: Iterable[str] = (),
    forbidden: bool = False,
    invalid: str = "",
) -> outbound.TlsRoute:
    """A route of TLS for these names, to these backends by weight; `invalid`: what is wrong with them."""
    made = outbound.TlsRoute(metadata=resource("TLSRoute", name, group="gateway.networking.k8s.io"))
    for sni in snis:
        ending = sni.removeprefix("*.")
        if ending == sni:
            made.snis.add().exact = sni
        else:
            made.snis.add().suffix.reverse_labels.extend(reversed(ending.split(".")))
    rule = made.rules.add()
    for one, weight in backends:
        weighted = rule.backends.random_available.backends.add(weight=weight)
        weighted.backend.backend.CopyFrom(one)
        if invalid:
            weighted.backend.filters.add().invalid.message = invalid
    if not backends:
        rule.backends.empty.SetInParent()
    if forbidden:
        rule.filters.add().forbidden.SetInParent()
    return made


def tls(path: str, *routes: outbound.TlsRoute) -> outbound.OutboundPolicy:
    """A policy of a service that speaks TLS."""
    made = outbound.OutboundPolicy(metadata=service_of(path))
    made.protocol.tls.SetInParent()
    made.protocol.tls.routes.extend(routes)
    return made
