"""What a pod says itself of the traffic that comes to it: annotations, and the probes of its containers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.inbound import (
    NOTHING_SAID,
    InboundSettings,
    NamedPort,
    Probe,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    mapping,
    number,
    ports_of,
    text,
)

DEFAULT_POLICY: Final = "config.linkerd.io/default-inbound-policy"
_OPAQUE_PORTS: Final = "config.linkerd.io/opaque-ports"
_IDENTIFIED_PORTS: Final = "config.linkerd.io/proxy-require-identity-inbound-ports"
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def read_inbound(found: Json) -> InboundSettings:
    """Of a pod, or of an external workload, whose ports stand by themselves and which nobody probes."""
    said = InboundSettings(
        names=tuple(_names(found)),
        policy=annotation(found, DEFAULT_POLICY) or "",
        opaque=ports_of(annotation(found, _OPAQUE_PORTS) or ""),
        identified=ports_of(annotation(found, _IDENTIFIED_PORTS) or ""),
        probes=tuple(sorted(set(_probes(found)))),
    )
    return NOTHING_SAID if said == NOTHING_SAID else _shared(said)


@lru_cache(maxsize=1024)  # all replicas of a workload say the same
def _shared(said: InboundSettings) -> InboundSettings:
    return said


def _names(found: Json) -> Iterator[NamedPort]:
    for group in ("containers", "initContainers"):
        for container in items(found, "spec", group):
            yield from _names_in(container)
    yield from _names_in(mapping(found, "spec"))


def _names_in(container: Json) -> Iterator[NamedPort]:
    """Of TCP: an external workload calls the number `port`."""
    for port in items(container, "ports"):
        value = number(port, "containerPort") or number(port, "port")
        name, spoken = text(port, "name"), text(port, "protocol") or "TCP"
        if name and value and spoken.upper() == "TCP":
            yield NamedPort(name, value)


def _probes(found: Json) -> Iterator[Probe]:
    """Those by HTTP, of all containers; a port's name is one of the container that is probed."""
    for group in ("containers", "initContainers"):
        for container in items(found, "spec", group):
            for name in _PROBES:
                asked = mapping(container, name, "httpGet")
                port = number(asked, "port") or _named(text(asked, "port"), container)
                if 0 < port < 65536:
                    yield Probe(port, _path(text(asked, "path")))


def _named(wanted: str, container: Json) -> int:
    """The port that a container calls so; 0 where it has none."""
    names = _names_in(container)
    return next((one.number for one in names if one.name.lower() == wanted.lower()), 0)


def _path(written: str) -> str:
    """As it arrives: without a query, and absolute."""
    path = written.partition("?")[0].partition("#")[0]
    return path if path.startswith("/") else f"/{path}"
