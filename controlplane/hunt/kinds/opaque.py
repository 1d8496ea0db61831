"""Ports whose bytes are looked at though their server speaks first: each connection waits for words that
do not come.
"""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.base.names import service_authority
from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import owners, resource_of
from linkerd2_py.controlplane.mesh.objects import DEFAULT_OPAQUE_PORTS, Key, Service

_FEWEST: Final = 0.9


def find(evidence: Evidence) -> Iterator[Finding]:
    """By what proxies could not tell in time, or where the port is one of those whose servers speak first."""
    for service in sorted(evidence.mesh.services.values(), key=lambda one: one.key):
        for spec in service.ports:
            guessed = evidence.guessed.get((service.key, spec.port), 0.0)
            is_known = spec.port in DEFAULT_OPAQUE_PORTS and _carries_bytes(service, evidence)
            if not spec.opaque and (guessed >= _FEWEST or is_known):
                yield _finding(service, spec.port, evidence=evidence)


def _carries_bytes(service: Service, evidence: Evidence) -> bool:
    """Connections, and not one request."""
    opened = sum(count for (_, to), count in evidence.opened.items() if to == service.key)
    asked = any(evidence.service(call.authority) == service for call in evidence.called)
    return opened >= _FEWEST and not asked


def _finding(service: Service, port: int, *, evidence: Evidence) -> Finding:
    pods = evidence.behind(service)
    where = resource_of(pods[0].key, evidence=evidence) if pods else f"svc/{service.name}"
    sentence = (
        f"{service.name}: its port {port} is not marked opaque, but its server speaks first: each "
        "connection waits until the proxy gives up guessing the protocol"
    )
    commands = (
        f"diagnostics profile {service_authority(service.name, namespace=service.namespace, port=port)}",
        f"get svc {service.name}",
    )
    clients: list[Key] = [client for client, to in evidence.opened if to == service.key]
    return Finding(
        Weight.OPAQUE,
        service.namespace,
        where,
        sentence,
        commands,
        about=owners(clients, evidence=evidence),
    )
