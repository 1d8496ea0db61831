"""Ranges of addresses, as policies name them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Cidr = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses of `cidr` that are in none of `excluded`."""

    cidr: Cidr
    excluded: tuple[Cidr, ...] = ()

    def __contains__(self, address: Address) -> bool:
        return address in self.cidr and not any(address in one for one in self.excluded)

    @property
    def size(self) -> int:
        """How many addresses it has; what is excluded is taken not to overlap."""
        return self.cidr.num_addresses - sum(one.num_addresses for one in self.excluded)

    def overlaps(self, other: Cidr) -> bool:
        """Whether it may have an address of `other`: unless all of that is excluded."""
        return self.cidr.overlaps(other) and not any(is_within(other, one) for one in self.excluded)


def is_within(inner: Cidr, outer: Cidr) -> bool:
    """Whether all of one is a part of the other."""
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return (
        isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)
    )
