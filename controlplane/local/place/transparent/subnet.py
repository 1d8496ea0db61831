"""The addresses of a transparent mesh: one IPv4 /16 and one IPv6 /48 that nothing else on this machine uses.

The number of a subnet names everything of its mesh. It is claimed by a lock on a file that only root
reaches, which the kernel gives back when the supervisor ends, however it ends: so a number that can be
claimed belongs to no living mesh.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import IO, Final

from linkerd2_py.controlplane.local.state import owned

Network = IPv4Network | IPv6Network
Claim = IO[bytes]

CLAIMS: Final = Path("/run/linkerd2-py-subnets")

PREFIX: Final = "l5d"
"""Every namespace and link is called after it and the number: `l5d0`, `l5d0-web-0`."""
_V4: Final = (
    *(f"10.{second}.0.0/16" for second in range(209, 255)),
    *(f"172.{second}.0.0/16" for second in range(20, 32)),
    # For benchmarks between networks (RFC 2544): nobody routes it.
    "198.18.0.0/16",
    "198.19.0.0/16",
)
NUMBERS: Final = range(len(_V4))
_V6: Final = "fd6c:3564:{:x}::/48"  # unique local (RFC 4193)
_FIRST_HOST: Final = 16
_HALF: Final = 1 << 15
_V6_SERVICES: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Subnet:
    """The lower half of the IPv4 network is for pods, the upper for services; of IPv6 each has a /64."""

    number: int

    @property
    def label(self) -> str:
        return f"{PREFIX}{self.number}"

    @property
    def v4(self) -> IPv4Network:
        return IPv4Network(_V4[self.number])

    @property
    def v6(self) -> IPv6Network:
        return IPv6Network(_V6.format(self.number))

    @property
    def node(self) -> str:
        """The name of the node's namespace."""
        return f"{self.label}-node"

    def namespace_of(self, pod: str) -> str:
        return f"{self.label}-{pod}"

    @property
    def gateway(self) -> IPv4Address:
        """The node, as pods see it: router, name server and control plane."""
        return self.v4[1]

    @property
    def gateway6(self) -> IPv6Address:
        return self.v6[1]

    @property
    def link(self) -> tuple[IPv4Address, IPv4Address]:
        """The host's and the node's end of the link between them, a /30."""
        return self.v4[-3], self.v4[-2]

    @property
    def services(self) -> tuple[IPv4Network, IPv6Network]:
        """Where virtual addresses come from."""
        return IPv4Network((self.v4[_HALF], 17)), IPv6Network((self.v6[_V6_SERVICES], 64))

    def pod_addresses(self) -> Iterable[tuple[str, str]]:
        """Every pair that a pod may have, in order."""
        return ((str(self.v4[n]), str(self.v6[n])) for n in range(_FIRST_HOST, _HALF - 1))

    def service_addresses(self) -> Iterable[tuple[str, str]]:
        """Every pair that a service may have, in order; the last addresses are the link's."""
        numbers = range(_FIRST_HOST, _HALF - 8)
        return ((str(self.v4[_HALF + n]), str(self.v6[_V6_SERVICES + n])) for n in numbers)


def choose(*, taken: Iterable[Network]) -> tuple[Subnet, Claim] | None:
    """The first subnet that overlaps nothing in `taken` and that no other mesh has, with the claim to it.

    StateError or OSError if claims cannot be kept.
    """
    others = list(taken)
    for number in NUMBERS:
        subnet = Subnet(number)
        if any(overlap(subnet, other) for other in others):
            continue
        claimed = claim_of(number)
        if claimed is not None:
            return subnet, claimed
    return None


def overlap(subnet: Subnet, other: Network) -> bool:
    """Whether an address could be of both; a default route is no claim to anything."""
    if other.prefixlen == 0:
        return False
    if isinstance(other, IPv4Network):
        return subnet.v4.overlaps(other)
    return subnet.v6.overlaps(other)


def claim_of(number: int | None) -> Claim | None:
    """The number is ours while this file is open; None if a living mesh has it, or if it is none.
    StateError, OSError.
    """
    if number is None:
        return None
    owned.check_way(CLAIMS)
    owned.make(CLAIMS)
    claim = os.fdopen(owned.open_file(CLAIMS / str(number), os.O_RDWR | os.O_CREAT), "r+b")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        return None
    return claim


def number_of(name: str) -> int | None:
    """The number in a namespace's or a link's name, if it is one of ours."""
    digits = name.removeprefix(PREFIX).partition("-")[0]
    if not name.startswith(PREFIX) or not digits.isdecimal() or int(digits) not in NUMBERS:
        return None
    return int(digits)


def networks(texts: Iterable[str]) -> list[Network]:
    """What can be read as a network or an address; other words (`default`, `local`) are left out."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            continue
    return found
