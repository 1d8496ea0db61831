"""What a proxy asks for: an address that a connection goes to, or the name of a service."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from linkerd2_py.base.names import CLUSTER_SUFFIX, split_authority
from linkerd2_py.controlplane.mesh.networks import Address
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.policy.workload import parse_workload
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound

_DEFAULT_PORT: Final = 80
_HIGHEST_PORT: Final = 65535
_DOMAIN: Final = CLUSTER_SUFFIX.removeprefix("svc.")


class InvalidTargetError(ValueError):
    """Nothing that could be answered."""


class NoSuchServiceError(LookupError):
    """There is nobody there that we know: proxies then go there as they would without us."""


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """Where a connection was going."""

    ip: Address
    port: int


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A port of a service, whether there is one or not."""

    service: Key
    port: int


Target = AddressTarget | NamedTarget


class Abilities(NamedTuple):
    """What the proxy of who asks does beyond Linkerd's: what rewrites say, and breakers of single routes."""

    rewrites: bool = False
    breaks_routes: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What a client of a namespace asks; the rest is as `Abilities` have it."""

    target: Target
    namespace: str
    rewrites: bool = False
    breaks_routes: bool = False

    @property
    def abilities(self) -> Abilities:
        """Those of its proxy."""
        return Abilities(self.rewrites, self.breaks_routes)


def parse_question(spec: outbound.TrafficSpec) -> Question:
    """Raises `InvalidTargetError`, `InvalidWorkloadError`, and `NoSuchServiceError` for names that are none
    of ours.
    """
    asked = spec.WhichOneof("target")
    if asked is None:
        raise InvalidTargetError("target is required")
    namespace = parse_workload(spec.source_workload).namespace
    target = _named(spec.authority) if asked == "authority" else _address(spec.addr)
    return Question(target, namespace, spec.rewrites, spec.breaks_routes)


def _address(found: net.TcpAddress) -> AddressTarget:
    if found.port > _HIGHEST_PORT:
        raise InvalidTargetError("port outside valid range")
    if found.port == 0:
        raise InvalidTargetError("port cannot be zero")
    match found.ip.WhichOneof("ip"):
        case "ipv4":
            return AddressTarget(IPv4Address(found.ip.ipv4), found.port)
        case "ipv6":
            ip = IPv6Address(found.ip.ipv6.first << 64 | found.ip.ipv6.last)
            return AddressTarget(ip, found.port)
    raise InvalidTargetError("traffic target must have an IP")


def _named(authority: str) -> NamedTarget:
    try:
        host, port = split_authority(authority)
    except ValueError as error:
        raise InvalidTargetError("invalid authority") from error
    if not host:
        raise InvalidTargetError("authority must have a host")
    labels = host.rstrip(".").removesuffix(f".{_DOMAIN}").split(".")
    if len(labels) != 3 or labels[2] != "svc" or not all(labels):
        raise NoSuchServiceError(f"authority must be of the form <name>.<namespace>.svc.{_DOMAIN}")
    return NamedTarget(Key(namespace=labels[1], name=labels[0]), port or _DEFAULT_PORT)
