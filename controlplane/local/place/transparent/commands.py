"""What a transparent mesh consists of, in the words of `ip -batch`: pure text, by namespace.

Pods have host addresses (/32, /128) and reach everything through the node, as under Calico: traffic
between two pods passes the node's packet filter, where virtual service addresses are translated both
ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Final

from linkerd2_py.controlplane.local.place.transparent.subnet import Subnet

BRIDGE: Final = "pods"
POD_LINK: Final = "eth0"


@dataclass(frozen=True, slots=True)
class Batch:
    """Kernel parameters, then lines for `ip -batch`, both in a namespace (none: the host's)."""

    netns: str
    lines: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


_AT_ONCE: Final = {
    # An address is ours by construction; it need not be asked for first.
    "net/ipv6/conf/default/accept_dad": "0",
}
_NODE_SETTINGS: Final = {
    **_AT_ONCE,
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/forwarding": "1",
    # Pods reach each other through the node; telling them of a shorter way would be wrong.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
}
_POD_SETTINGS: Final = {
    **_AT_ONCE,
    # Programs need no privilege for port 80, as in a container.
    "net/ipv4/ip_unprivileged_port_start": "0",
}


def make_node(subnet: Subnet) -> tuple[Batch, ...]:
    """The node's namespace with its bridge, and its link to the host, which is of IPv4 alone: on the host
    IPv6 may be off.
    """
    host, node = subnet.link
    label = subnet.label
    return (
        Batch("", (f"netns add {subnet.node}",)),
        Batch(subnet.node, ("link set lo up",), _NODE_SETTINGS),
        Batch(
            "",
            (
                f"link add {label} type veth peer name host netns {subnet.node}",
                f"addr add {host}/30 dev {label}",
                f"link set {label} up",
            ),
        ),
        Batch(
            subnet.node,
            (
                f"addr add {node}/30 dev host",
                "link set host up",
                f"route add default via {host}",
                f"link add {BRIDGE} type bridge",
                f"addr add {subnet.gateway}/17 dev {BRIDGE}",
                f"addr add {subnet.gateway6}/64 dev {BRIDGE} nodad",
                f"link set {BRIDGE} up",
                # Nobody has these: what is not translated must still be forwarded to be refused.
                *(f"route add {network} dev {BRIDGE}" for network in subnet.services),
            ),
        ),
        # Last: from here on packets of the host find their way.
        Batch("", (f"route add {subnet.v4} via {node} dev {label}",)),
    )


def make_pod(subnet: Subnet, *, netns: str, port: str, ip: str, ip6: str) -> tuple[Batch, ...]:
    """A pod's namespace, tied to the node's bridge by the link that is called `port` there."""
    return (
        Batch("", (f"netns add {netns}",)),
        Batch(netns, ("link set lo up",), _POD_SETTINGS),
        Batch(
            subnet.node,
            (
                f"link add {port} type veth peer name {POD_LINK} netns {netns}",
                f"link set {port} master {BRIDGE} up",
            ),
        ),
        Batch(
            netns,
            (
                f"addr add {IPv4Address(ip)}/32 dev {POD_LINK}",
                f"addr add {IPv6Address(ip6)}/128 dev {POD_LINK} nodad",
                f"link set {POD_LINK} up",
                f"route add {subnet.gateway} dev {POD_LINK} scope link",
                f"route add default via {subnet.gateway} dev {POD_LINK}",
                f"route add {subnet.gateway6} dev {POD_LINK}",
                # Only the mesh's: with a way out that leads nowhere, programs would try IPv6 first.
                f"route add {subnet.v6} via {subnet.gateway6} dev {POD_LINK}",
            ),
        ),
    )
