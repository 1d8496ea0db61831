"""Ports as pods declare them and annotations list them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from linkerd2_py.controlplane.policy.admission.fields import Field

HIGHEST: Final = 65535
_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


def containers(spec: Field) -> Iterator[Field]:
    """Those that start first, and the others."""
    yield from spec["initContainers"]
    yield from spec["containers"]


def declared_ports(spec: Field) -> Iterator[Field]:
    """Ports of containers, in their order."""
    for container in containers(spec):
        yield from container["ports"]


def named_ports(spec: Field) -> dict[str, int]:
    """The numbers of those that have names."""
    found = {}
    for port in declared_ports(spec):
        name, number = port["name"].text(), port["containerPort"].number(0, HIGHEST)
        if name and number is not None:
            found[name] = number
    return found


def inbound_ports(spec: Field) -> str:
    """Where the workload is called: its ports, and those of its HTTP probes. In the order of their digits, as
    Linkerd lists them.
    """
    found = {port["containerPort"].number(0, HIGHEST) or 0 for port in declared_ports(spec)}
    for container in containers(spec):
        for probe in ("readinessProbe", "livenessProbe"):
            port = container[probe]["httpGet"]["port"]
            # A probe may name a port, which is declared then.
            if not isinstance(port.value, str):
                number = port.number(0, HIGHEST)
                found |= set() if number is None else {number}
    return ",".join(sorted(map(str, found)))


def opaque_ports(listing: str, names: Mapping[str, int]) -> tuple[str, list[str]]:
    """An annotation's ports and ranges, names as numbers; and what is in it that is none of these."""
    taken, strange = [], []
    for part in listing.removesuffix(",").split(","):
        word = part.strip()
        if word in names:
            taken.append(str(names[word]))
        elif _is_range(word):
            taken.append(word)
        else:
            strange.append(word)
    return ",".join(taken), strange


def default_opaque(ports: Iterable[int], defaults: str) -> str:
    """Those of a workload's ports that are opaque where nobody says anything."""
    opaque = frozenset(defaults.split(","))
    return ",".join(str(port) for port in ports if str(port) in opaque)


def _is_range(word: str) -> bool:
    found = _RANGE.fullmatch(word)
    if found is None:
        return False
    first = int(found[1])
    return 0 < first <= int(found[2] or first) <= HIGHEST
