"""Services, and the slices that say who serves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import (
    Endpoint,
    Endpoints,
    Key,
    MeshObject,
    PortSpec,
    Service,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    key_of,
    labels,
    mapping,
    number,
    ports_of,
    text,
    texts,
    traffic_annotations,
)

OPAQUE_PORTS: Final = "config.linkerd.io/opaque-ports"
DEFAULT_OPAQUE_PORTS: Final = ports_of("25,587,3306,4444,5432,6379,9300,11211")
"""Linkerd's: servers of these protocols speak first."""
SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"
_NO_IP: Final = "None"


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One of a slice: its addresses are of one family, and stand for the same pod."""

    ips: tuple[str, ...]
    ready: bool
    pod: Key | None
    hostname: str
    zone: str


@dataclass(frozen=True, slots=True)
class Slice(MeshObject):
    """A part of those who serve a service: `ports` are the numbers that they serve each named port under."""

    namespace: str
    name: str
    service: Key
    ports: Mapping[str, int]
    endpoints: tuple[SliceEndpoint, ...]

    @property
    def key(self) -> Key:
        """Namespace and name of the slice."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ServiceAsSaid(MeshObject):
    """A service by itself, with no opaque port yet; `opaque_ports` is what it says of them, None where it
    says nothing.
    """

    service: Service
    opaque_ports: str | None

    @property
    def key(self) -> Key:
        """Namespace and name of the service."""
        return self.service.key

    def in_namespace(self, says: str | None) -> Service:
        """The service, in a namespace that `says` which ports are opaque. Where nobody says it, those that
        mostly are.
        """
        listing = self.opaque_ports if self.opaque_ports is not None else says
        opaque = DEFAULT_OPAQUE_PORTS if listing is None else ports_of(listing)
        if opaque.isdisjoint(spec.port for spec in self.service.ports):
            return self.service
        specs = (replace(spec, opaque=spec.port in opaque) for spec in self.service.ports)
        return replace(self.service, ports=tuple(specs))


def read_service(found: Json) -> ServiceAsSaid:
    """With its TCP ports only."""
    namespace, name = key_of(found)
    ips = texts(found, "spec", "clusterIPs") or (text(found, "spec", "clusterIP"),)
    service = Service(
        namespace=namespace,
        name=name,
        ports=tuple(_port(one) for one in items(found, "spec", "ports") if _tcp(one)),
        selector=labels(found, "spec", "selector"),
        ips=tuple(str(ip_address(ip)) for ip in ips if _is_ip(ip)),
        headless=_NO_IP in ips,
        labels=labels(found, "metadata", "labels"),
        annotations=traffic_annotations(found),
    )
    return ServiceAsSaid(service, annotation(found, OPAQUE_PORTS))


def read_slice(found: Json) -> Slice:
    """What it says of TCP ports; a slice of names instead of addresses says nothing here."""
    namespace, name = key_of(found)
    service = Key(namespace, text(found, "metadata", "labels", SERVICE_OF_SLICE))
    addressed = text(found, "addressType") in {"IPv4", "IPv6"}
    return Slice(
        namespace=namespace,
        name=name,
        service=service,
        ports={
            text(one, "name"): number(one, "port") for one in items(found, "ports") if _tcp(one)
        },
        endpoints=tuple(map(_endpoint, items(found, "endpoints"))) if addressed else (),
    )


def endpoints_of(service: Service, *, slices: Iterable[Slice]) -> Iterator[Endpoints]:
    """Who serves each port of a service, by all its slices."""
    known = sorted(slices, key=lambda one: one.key)
    for spec in service.ports:
        found = tuple(end for one in known for end in _serving(one, spec=spec))
        yield Endpoints(service.namespace, service.name, spec.port, found)


def _serving(one: Slice, *, spec: PortSpec) -> Iterator[Endpoint]:
    # A number that the service gives is meant; a name stands for what the slice found it to be.
    port = spec.target_port if isinstance(spec.target_port, int) else one.ports.get(spec.name)
    if not port or spec.name not in one.ports:
        return
    for end in one.endpoints:
        for ip in end.ips:
            yield Endpoint(ip, port, end.ready, end.pod, end.hostname, end.zone)


def _port(found: Json) -> PortSpec:
    port = number(found, "port")
    target = found.get("targetPort")
    known = isinstance(target, (int, str)) and not isinstance(target, bool) and bool(target)
    return PortSpec(
        name=text(found, "name"),
        port=port,
        target_port=target if known and isinstance(target, (int, str)) else port,
        app_protocol=text(found, "appProtocol"),
    )


def _endpoint(found: Json) -> SliceEndpoint:
    pod = None
    if text(found, "targetRef", "kind") == "Pod":
        pod = Key(text(found, "targetRef", "namespace"), text(found, "targetRef", "name"))
    return SliceEndpoint(
        ips=tuple(ip for ip in texts(found, "addresses") if _is_ip(ip)),
        # Who says nothing of it is ready.
        ready=mapping(found, "conditions").get("ready") is not False,
        pod=pod,
        hostname=text(found, "hostname"),
        zone=text(found, "zone"),
    )


def _tcp(found: Json) -> bool:
    return text(found, "protocol") in {"TCP", ""}


def _is_ip(said: str) -> bool:
    try:
        ip_address(said)
    except ValueError:
        return False
    return True
