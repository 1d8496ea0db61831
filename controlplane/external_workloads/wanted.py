"""Who serves a service from outside, and under which ports: whoever has the same may share a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from linkerd2_py.controlplane.mesh.objects import (
    ExternalWorkload,
    Family,
    Key,
    PortSpec,
    Service,
    of_family,
)
from linkerd2_py.controlplane.mesh.slices import SliceEnd, SlicePort

_ZONE: Final = "topology.kubernetes.io/zone"
_LONGEST_LABEL: Final = 63


class Shape(NamedTuple):
    """What everybody in a slice has in common."""

    family: Family
    ports: tuple[SlicePort, ...]


Wanted = Mapping[Shape, Mapping[Key, SliceEnd]]


def wanted_of(service: Service, *, workloads: Iterable[ExternalWorkload]) -> Wanted:
    """All of the `workloads`, which it selects, by their names; nobody where it is another's name."""
    found: dict[Shape, dict[Key, SliceEnd]] = {}
    if service.alias or not service.selector:
        return found
    for one in sorted(workloads, key=lambda one: one.key):
        ports = tuple(sorted(_ports(service, one)))
        # A headless service may leave it open.
        for family in service.families or (4, 6):
            if ips := of_family(_reachable(one.ips), family=family):
                found.setdefault(Shape(family, ports), {})[one.key] = _end(service, one, ips=ips)
    return found


def _reachable(ips: Iterable[str]) -> Iterator[str]:
    """Without what API servers refuse in a slice: with it all the others of that slice would be refused."""
    for one in dict.fromkeys(ips):
        ip = ip_address(one)
        within = ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast
        mapped = isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip.scope_id)
        if not within and not mapped:
            yield one


def _ports(service: Service, one: ExternalWorkload) -> Iterator[SlicePort]:
    """Those that the workload says it has: unlike a pod, it must."""
    for spec in (*service.ports, *service.other_ports):
        number = _number(spec, one)
        if number:
            yield SlicePort(spec.name, number, spec.protocol)


def _number(spec: PortSpec, one: ExternalWorkload) -> int:
    for port in one.ports:
        if port.protocol == spec.protocol and spec.target_port in {port.number, port.name}:
            return port.number
    return 0


def _end(service: Service, one: ExternalWorkload, *, ips: tuple[str, ...]) -> SliceEnd:
    return SliceEnd(
        one.key,
        one.uid,
        ips,
        ready=one.ready,
        zone=one.labels.get(_ZONE, ""),
        hostname=one.name if service.headless and _is_label(one.name) else "",
    )


def _is_label(name: str) -> bool:
    """Whether it can be one label of a name below the service's."""
    return "." not in name and len(name) <= _LONGEST_LABEL
