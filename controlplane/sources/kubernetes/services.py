"""Services, and the slices that say who serves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    Endpoint,
    Endpoints,
    Federated,
    Gateway,
    Key,
    Labels,
    MeshObject,
    Mirrored,
    PortSpec,
    Service,
    no_labels,
)
from linkerd2_py.controlplane.mesh.slices import FAMILIES, SERVICE_LABEL, WorkloadSlice
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    is_ip,
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
from linkerd2_py.controlplane.sources.kubernetes.pods import OPAQUE_PORTS
from linkerd2_py.controlplane.sources.kubernetes.workload_slices import read_workload_slice

# What Linkerd's multicluster extension says: of services as labels and annotations …
_REMOTE_CLUSTER: Final = "multicluster.linkerd.io/remote-discovery"
_REMOTE_SERVICE: Final = "multicluster.linkerd.io/remote-service"
_LOCAL_MEMBER: Final = "multicluster.linkerd.io/local-discovery"
# … and of slices.
_CLUSTER_NAME: Final = "mirror.linkerd.io/cluster-name"
_GATEWAY_IDENTITY: Final = "mirror.linkerd.io/remote-gateway-identity"
_GATEWAY_SERVICE: Final = "mirror.linkerd.io/remote-svc-fq-name"
_NO_IP: Final = "None"
_TCP: Final = "TCP"


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One of a slice: its addresses are of one family, and stand for the same pod."""

    ips: tuple[str, ...]
    ready: bool
    pod: Key | None
    hostname: str
    zone: str
    external: Key | None = None
    for_zones: tuple[str, ...] = ()
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class Slice(MeshObject):
    """A part of those who serve a service: `ports` are the numbers that they serve each named port under,
    `labels` are those that metrics of all of them have. `ours` is all of it, where we write it.
    """

    namespace: str
    name: str
    service: Key
    ports: Mapping[str, int]
    endpoints: tuple[SliceEndpoint, ...]
    labels: Labels = field(default_factory=no_labels)
    ours: WorkloadSlice | None = None

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

    def in_namespace(
        self, says: str | None, *, default: frozenset[int] = DEFAULT_OPAQUE_PORTS
    ) -> Service:
        """The service, in a namespace that `says` which ports are opaque; where nobody says it, `default`
        are.
        """
        listing = self.opaque_ports if self.opaque_ports is not None else says
        names = tuple((spec.name, spec.port) for spec in self.service.ports if spec.name)
        opaque = default if listing is None else ports_of(listing, names)
        if opaque.isdisjoint(spec.port for spec in self.service.ports):
            return self.service
        specs = (replace(spec, opaque=spec.port in opaque) for spec in self.service.ports)
        return replace(self.service, ports=tuple(specs))


def read_service(found: Json) -> ServiceAsSaid:
    """As it says itself."""
    namespace, name = key_of(found)
    ips = texts(found, "spec", "clusterIPs") or (text(found, "spec", "clusterIP"),)
    specs = [_port(one) for one in items(found, "spec", "ports")]
    deleted = bool(text(found, "metadata", "deletionTimestamp"))
    families = texts(found, "spec", "ipFamilies")
    service = Service(
        namespace=namespace,
        name=name,
        ports=tuple(spec for spec in specs if spec.protocol == _TCP),
        selector=labels(found, "spec", "selector"),
        ips=tuple(str(ip_address(ip)) for ip in ips if is_ip(ip)),
        headless=_NO_IP in ips,
        labels=labels(found, "metadata", "labels"),
        annotations=traffic_annotations(found),
        alias=text(found, "spec", "type") == "ExternalName",
        local=text(found, "spec", "internalTrafficPolicy") == "Local",
        mirrored=_mirrored(found),
        federated=_federated(found),
        uid="" if deleted else text(found, "metadata", "uid"),
        families=tuple(FAMILIES[one] for one in families if one in FAMILIES),
        other_ports=tuple(spec for spec in specs if spec.protocol != _TCP),
    )
    return ServiceAsSaid(service, annotation(found, OPAQUE_PORTS))


def _mirrored(found: Json) -> Mirrored | None:
    said = labels(found, "metadata", "labels")
    if _REMOTE_CLUSTER not in said:
        return None
    return Mirrored(said[_REMOTE_CLUSTER], said.get(_REMOTE_SERVICE, ""))


def _federated(found: Json) -> Federated | None:
    # An empty annotation says it as well.
    member = annotation(found, _LOCAL_MEMBER)
    if member is None and annotation(found, _REMOTE_CLUSTER) is None:
        return None
    return Federated(member or "")


def read_slice(found: Json) -> Slice:
    """What it says of TCP ports; a slice of names instead of addresses says nothing here."""
    namespace, name = key_of(found)
    service = Key(namespace, text(found, "metadata", "labels", SERVICE_LABEL))
    addressed = text(found, "addressType") in FAMILIES
    gateway = _gateway(found)
    ends = (_endpoint(one, gateway=gateway) for one in items(found, "endpoints"))
    return Slice(
        namespace=namespace,
        name=name,
        service=service,
        ports={
            text(one, "name"): number(one, "port") for one in items(found, "ports") if _tcp(one)
        },
        endpoints=tuple(ends) if addressed else (),
        labels=_metric_labels(found),
        ours=read_workload_slice(found),
    )


def _gateway(found: Json) -> Gateway | None:
    identity = annotation(found, _GATEWAY_IDENTITY) or ""
    service = annotation(found, _GATEWAY_SERVICE) or ""
    return Gateway(identity, service) if identity or service else None


def _metric_labels(found: Json) -> Labels:
    """Which service of which cluster stands behind a gateway."""
    cluster = text(found, "metadata", "labels", _CLUSTER_NAME)
    if not cluster:
        return no_labels()
    names = (annotation(found, _GATEWAY_SERVICE) or "").split(".")
    behind = dict(zip(("target_service", "target_service_namespace"), names, strict=False))
    return {"target_cluster": cluster} | (behind if len(behind) == 2 else {})


def endpoints_of(service: Service, *, slices: Iterable[Slice]) -> Iterator[Endpoints]:
    """Who serves each port of a service, by all its slices."""
    known = sorted(slices, key=lambda one: one.key)
    shared = next((one.labels for one in known if one.labels), no_labels())
    for spec in service.ports:
        found = tuple(end for one in known for end in _serving(one, spec=spec))
        yield Endpoints(service.namespace, service.name, spec.port, found, shared)


def _serving(one: Slice, *, spec: PortSpec) -> Iterator[Endpoint]:
    """By the name of the port, also where the service gives a number: a slice that somebody wrote may have
    another.
    """
    port = one.ports.get(spec.name)
    for end in one.endpoints if port else ():
        for ip in end.ips:
            yield Endpoint(
                ip,
                port or 0,
                end.ready,
                end.pod,
                end.hostname,
                end.zone,
                end.external,
                end.for_zones,
                end.gateway,
            )


def _port(found: Json) -> PortSpec:
    port = number(found, "port")
    target = found.get("targetPort")
    known = isinstance(target, (int, str)) and not isinstance(target, bool) and bool(target)
    return PortSpec(
        name=text(found, "name"),
        port=port,
        target_port=target if known and isinstance(target, (int, str)) else port,
        app_protocol=text(found, "appProtocol"),
        protocol=text(found, "protocol") or _TCP,
    )


def _endpoint(found: Json, *, gateway: Gateway | None) -> SliceEndpoint:
    kind = text(found, "targetRef", "kind")
    target = Key(text(found, "targetRef", "namespace"), text(found, "targetRef", "name"))
    zones = items(found, "hints", "forZones")
    return SliceEndpoint(
        ips=tuple(ip for ip in texts(found, "addresses") if is_ip(ip)),
        # Who says nothing of it is ready.
        ready=mapping(found, "conditions").get("ready") is not False,
        pod=target if kind == "Pod" else None,
        hostname=text(found, "hostname"),
        zone=text(found, "zone"),
        external=target if kind == "ExternalWorkload" else None,
        for_zones=tuple(sorted(text(one, "name") for one in zones)),
        gateway=None if kind else gateway,
    )


def _tcp(found: Json) -> bool:
    return text(found, "protocol") in {_TCP, ""}
