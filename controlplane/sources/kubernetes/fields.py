"""Fields of objects as they come: anything may be missing, null or of another type, and then reads as if it
were not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import Key, Labels, no_labels

_HIGHEST_PORT = 65535
_OF_TRAFFIC: Final = re.compile(r"(retry|timeout|balancer|balancer\.alpha)\.linkerd\.io/")


def mapping(found: object, *path: str) -> Json:
    """What is below `path`, if that is an object."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def text(found: object, *path: str) -> str:
    """The text below `path`; empty where there is none."""
    value = mapping(found, *path[:-1]).get(path[-1])
    return value if isinstance(value, str) else ""


def number(found: object, *path: str) -> int:
    """The whole number below `path`; 0 where there is none."""
    value = mapping(found, *path[:-1]).get(path[-1])
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def items(found: object, *path: str) -> Iterator[Json]:
    """The objects in the list below `path`."""
    value = mapping(found, *path[:-1]).get(path[-1])
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def texts(found: object, *path: str) -> tuple[str, ...]:
    """The texts in the list below `path`."""
    value = mapping(found, *path[:-1]).get(path[-1])
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def labels(found: object, *path: str) -> Labels:
    """A mapping of texts, as labels, annotations and selectors are."""
    held = {name: value for name, value in mapping(found, *path).items() if isinstance(value, str)}
    return MappingProxyType(held) if held else no_labels()


def annotation(found: Json, name: str) -> str | None:
    """One annotation of an object; None where it does not have it: an empty one may mean something."""
    value = mapping(found, "metadata", "annotations").get(name)
    return value if isinstance(value, str) else None


def traffic_annotations(found: Json) -> Labels:
    """The annotations of retries, timeouts and balancers."""
    said = labels(found, "metadata", "annotations")
    kept = {name: value for name, value in said.items() if _OF_TRAFFIC.match(name)}
    return MappingProxyType(kept) if kept else no_labels()


def is_ip(said: str) -> bool:
    """Whether that is an address."""
    try:
        ip_address(said)
    except ValueError:
        return False
    return True


def key_of(found: Json) -> Key:
    """Namespace and name."""
    return Key(text(found, "metadata", "namespace"), text(found, "metadata", "name"))


def seconds(stamp: str) -> float:
    """A time as Kubernetes writes it (RFC 3339), in seconds since the epoch; 0 where it is none."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0


def port_of_address(address: str, *, default: int) -> int:
    """The port of `host:port`."""
    digits = address.rpartition(":")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 6 else default


@lru_cache(maxsize=1024)  # thousands of pods say the same
def ports_of(listing: str, names: tuple[tuple[str, int], ...] = ()) -> frozenset[int]:
    """`25,5432-5440,sql`, as Linkerd's annotations list ports; what is no port and none of `names` is left
    out.
    """
    return frozenset(_ports(sorted(_ranges(listing, names=names))))


def _ports(ranges: list[tuple[int, int]]) -> Iterator[int]:
    """Each once, of ranges in order: an annotation has room for thirty thousand that are all ports."""
    taken = -1
    for first, last in ranges:
        yield from range(max(first, taken + 1), last + 1)
        taken = max(taken, last)


def _ranges(listing: str, *, names: tuple[tuple[str, int], ...]) -> Iterator[tuple[int, int]]:
    for part in listing.split(","):
        word = part.strip()
        first, _, last = word.partition("-")
        bounds = first.strip(), (last or first).strip()
        if all(bound.isdecimal() and len(bound) < 6 for bound in bounds):
            yield int(bounds[0]), min(int(bounds[1]), _HIGHEST_PORT)
        else:
            yield from ((number, number) for name, number in names if name == word)
