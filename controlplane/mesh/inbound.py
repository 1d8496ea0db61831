"""What a pod or an external workload says itself of the traffic that comes to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Probe(NamedTuple):
    """An HTTP request by which the kubelet asks how a pod is."""

    port: int
    path: str


class NamedPort(NamedTuple):
    """A TCP port by the name that Servers may know it by; several ports may have the same."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """The `names` of its ports, and what holds for those that no Server is about.

    `policy` is a default policy as annotations spell it, empty where it is left to others to say. The bytes
    of `opaque` ports are not parsed, `identified` ones are for clients with an identity only. `probes` are
    answered whatever the policies are.
    """

    names: tuple[NamedPort, ...] = ()
    policy: str = ""
    opaque: frozenset[int] = frozenset()
    identified: frozenset[int] = frozenset()
    probes: tuple[Probe, ...] = ()

    def names_of(self, port: int) -> list[str]:
        """What a port is called."""
        return [one.name for one in self.names if one.number == port]


NOTHING_SAID: Final = InboundSettings()
