"""Virtual service addresses for callers without a proxy: what kube-proxy's iptables mode does, as text
for iptables-restore.

A packet to an address and port of a service is sent on to one of its serving pods, chosen by chance for
each connection. Where there is none, or no such port, the caller gets a reset at once instead of silence.
The rules belong in the network namespace that routes between pods and holds no other rules of these
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from linkerd2_py.controlplane.mesh.objects import (
    EndpointsKey,
    Family,
    PortSpec,
    Service,
    of_family,
)
from linkerd2_py.controlplane.mesh.store import Mesh

SERVICES: Final = "L5D_SERVICES"
HAIRPINS: Final = "L5D_HAIRPINS"
NO_ENDPOINTS: Final = "L5D_NO_ENDPOINTS"
_NAT_CHAINS: Final = (SERVICES, HAIRPINS)
_FILTER_CHAINS: Final = (NO_ENDPOINTS,)
_RESET: Final = "-j REJECT --reject-with tcp-reset"


def service_rules_base() -> str:
    """The way into our chains, the same for both families; to be loaded once, with `--noflush`."""
    into_nat = (f"-A PREROUTING -j {SERVICES}", f"-A POSTROUTING -j {HAIRPINS}")
    into_filter = (f"-A FORWARD -j {NO_ENDPOINTS}",)
    return _table("nat", chains=_NAT_CHAINS, rules=into_nat) + _table(
        "filter", chains=_FILTER_CHAINS, rules=into_filter
    )


def service_rules(mesh: Mesh, *, family: Family) -> str:
    """The content of our chains for `mesh`, for iptables-restore (4) or ip6tables-restore (6) with
    `--noflush`.

    Each load replaces the one before as a whole: a chain that is declared is emptied.
    """
    addressed = list(_addressed(mesh, family=family))
    sent = [rule for service, ip in addressed for rule in _sent(service, ip, mesh, family)]
    reset = [rule for service, ip in addressed for rule in _reset(service, ip, mesh, family)]
    hairpins = _hairpins(mesh, family=family)
    return _table("nat", chains=_NAT_CHAINS, rules=(*sent, *hairpins)) + _table(
        "filter", chains=_FILTER_CHAINS, rules=reset
    )


def _table(name: str, *, chains: Iterable[str], rules: Iterable[str]) -> str:
    declared = (f":{chain} - [0:0]" for chain in chains)
    return "".join(f"{line}\n" for line in (f"*{name}", *declared, *rules, "COMMIT"))


def _addressed(mesh: Mesh, *, family: Family) -> Iterator[tuple[Service, str]]:
    for _, service in sorted(mesh.services.items()):
        for ip in of_family(service.ips, family=family):
            yield service, ip


def _sent(service: Service, ip: str, mesh: Mesh, family: Family) -> Iterator[str]:
    """To one of n pods: the first is taken with chance 1/n, else the second with 1/(n-1), …, the
    last always.
    """
    for spec in service.ports:
        pods = list(_destinations(service, spec, mesh, family))
        for number, address in enumerate(pods):
            left = len(pods) - number
            chance = (
                f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            )
            yield (
                f"-A {SERVICES} {_to_port(service, ip, spec)} {chance}-j DNAT --to-destination {address}"
            )


def _reset(service: Service, ip: str, mesh: Mesh, family: Family) -> Iterator[str]:
    """What still has the service's address when it is forwarded was sent on to nobody."""
    for spec in service.ports:
        if not any(_destinations(service, spec, mesh, family)):
            yield f"-A {NO_ENDPOINTS} {_to_port(service, ip, spec)} {_RESET}"
    comment = f'-m comment --comment "{service.namespace}/{service.name}"'
    yield f"-A {NO_ENDPOINTS} -d {ip} -p tcp {comment} {_RESET}"


def _to_port(service: Service, ip: str, spec: PortSpec) -> str:
    comment = f'-m comment --comment "{service.namespace}/{service.name}:{spec.port}"'
    return f"-d {ip} -p tcp --dport {spec.port} {comment}"


def _hairpins(mesh: Mesh, *, family: Family) -> Iterator[str]:
    """A pod that is sent on to itself would get a packet from its own address and drop it: it gets the
    router's.
    """
    for _, pod in sorted(mesh.pods.items()):
        if pod.serving:
            for ip in of_family(pod.ips, family=family):
                yield f"-A {HAIRPINS} -s {ip} -d {ip} -j MASQUERADE"


def _destinations(service: Service, spec: PortSpec, mesh: Mesh, family: Family) -> Iterator[str]:
    found = mesh.endpoints.get(EndpointsKey(*service.key, spec.port))
    ready = [end for end in found.endpoints if end.ready] if found else []
    for end in sorted(ready, key=lambda end: (end.pod or service.key, end.ip)):
        if of_family([end.ip], family=family):
            yield f"{end.ip}:{end.port}" if family == 4 else f"[{end.ip}]:{end.port}"
