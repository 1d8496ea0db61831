"""Who is asked about a target: a pure decision over its key, `host:port`."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py.base.names import CLUSTER_SUFFIX
from linkerd2_py.proxy.addresses import (
    Authority,
    SocketAddr,
    is_host_name,
    is_multicast,
    is_unspecified,
    matches_suffix,
    pack_ip,
    split_host_port,
    split_zone,
    unpack_ip,
)
from linkerd2_py.proxy.config.types import Destination

_SERVICE: Final = "svc."


class Rejected(NamedTuple):
    """Nothing can be connected to there."""

    status: int
    text: str


class Forwarded(NamedTuple):
    """An address that is nobody's business but the workload's."""

    address: SocketAddr


class ByAddress(NamedTuple):
    """An address inside the mesh's networks: its profile says what it stands for."""

    address: SocketAddr


class ByService(NamedTuple):
    """A name of the mesh. `spelled`: the name as given when it had to be completed, so that it may be
    somebody else's after all; None when it was complete.
    """

    name: Authority
    with_profile: bool
    spelled: Authority | None


class ByDns(NamedTuple):
    """A name outside the mesh."""

    name: Authority


Decision = Rejected | Forwarded | ByAddress | ByService | ByDns


def decide(key: bytes, *, rules: Destination) -> Decision:
    """Who is asked about the target `key` (lower-case `host:port`)."""
    try:
        host, port = split_host_port(key.decode("ascii"))
    except ValueError:
        return Rejected(400, "the target is not a host and a port")
    plain, zone = split_zone(host)
    packed = pack_ip(plain)
    if packed is not None and zone:
        # A neighbour on one link: the mesh knows no such addresses.
        return Forwarded(SocketAddr(unpack_ip(packed) + zone, port))
    if packed is not None:
        return _by_ip(SocketAddr(unpack_ip(packed), port), packed=packed, rules=rules)
    if not is_host_name(host) or port == 0:
        return Rejected(400, "the target is neither an address nor a host name")
    if rules.service is None:
        return ByDns(Authority(host, port))
    return _by_name(Authority(host, port), rules=rules)


def _by_ip(address: SocketAddr, *, packed: bytes, rules: Destination) -> Decision:
    if is_unspecified(address.host) or is_multicast(address.host) or address.port == 0:
        return Rejected(502, "the target is not an address that can be connected to")
    if rules.service is not None and any(net.contains(packed) for net in rules.profile_networks):
        return ByAddress(address)
    return Forwarded(address)


def _by_name(spelled: Authority, *, rules: Destination) -> Decision:
    name = Authority(complete(spelled.host, rules=rules), spelled.port)
    if not matches_suffix(name.host, suffixes=rules.get_suffixes):
        return ByDns(spelled)
    return ByService(
        name=name,
        with_profile=matches_suffix(name.host, suffixes=rules.profile_suffixes),
        spelled=None if name == spelled else spelled,
    )


def complete(host: str, *, rules: Destination) -> str:
    """`web`, `web.ns` and `web.ns.svc` as the resolver of a pod in our namespace would complete them;
    other names, and all when the namespace is not known, as they are.
    """
    labels = host.split(".")
    if not rules.namespace or len(labels) > 3 or labels[-1] == "localhost":
        return host
    suffix = next((one for one in rules.get_suffixes if one != "."), CLUSTER_SUFFIX)
    if len(labels) == 1:
        return f"{host}.{rules.namespace}.{suffix}"
    if len(labels) == 2:
        return f"{host}.{suffix}"
    if labels[2] == "svc" and suffix.startswith(_SERVICE):
        return f"{host}.{suffix.removeprefix(_SERVICE)}"
    return host
