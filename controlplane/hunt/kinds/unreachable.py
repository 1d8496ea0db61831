"""Services that proxies have given up: no endpoint lets itself be reached, so calls fail before they are
made.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from linkerd2_py.base.names import service_authority
from linkerd2_py.controlplane.hunt.evidence import Called, Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.kinds.crashes import crashes
from linkerd2_py.controlplane.hunt.words import listed, name_of, owners, percent, resource_of
from linkerd2_py.controlplane.mesh.objects import Endpoint, Pod, Service

_GIVEN_UP: Final = frozenset({"failfast", "loadshed", "connect", "connect timeout"})
"""What proxies say where no endpoint was ready in time, where they did not even wait for one, and where
one was not reached.
"""
_FEWEST: Final = 2.0
_SHARE: Final = 0.2


def find(evidence: Evidence) -> Iterator[Finding]:
    """Where it is not known already why: a program that crashes or listens elsewhere is told by another
    kind.
    """
    by_authority: defaultdict[str, list[Called]] = defaultdict(list)
    for call in evidence.called:
        by_authority[call.authority].append(call)
    for authority, calls in sorted(by_authority.items()):
        service = evidence.service(authority)
        given_up = [call for call in calls if call.outcome.error in _GIVEN_UP and call.recent]
        count, total = _recent(given_up), _recent(calls)
        if service is None or count < _FEWEST or count < total * _SHARE:
            continue
        port = int(authority.rpartition(":")[2] or 80)
        finding = _finding(service, port, given_up, share=count / total, evidence=evidence)
        if finding is not None:
            yield finding


def _recent(calls: list[Called]) -> float:
    return sum(call.recent for call in calls)


def _finding(
    service: Service, port: int, calls: list[Called], *, share: float, evidence: Evidence
) -> Finding | None:
    pods = evidence.behind(service)
    if any(_is_told_elsewhere(pod, now=evidence.now) for pod in pods):
        return None
    clients = sorted({name_of(call.client, evidence=evidence) for call in calls})
    said = f"{percent(share, of=1.0)} of the calls of {listed(clients)} fail at once"
    sentence = f"{service.name}: {_why(service, port, pods=pods, evidence=evidence)}; {said}"
    where = resource_of(pods[0].key, evidence=evidence) if pods else f"svc/{service.name}"
    name = service_authority(service.name, namespace=service.namespace, port=port)
    commands = (f"diagnostics endpoints {name}", f"stat deploy --to svc/{service.name}", "get po")
    about = owners([call.client for call in calls], evidence=evidence)
    return Finding(Weight.UNREACHABLE, service.namespace, where, sentence, commands, share, about)


def _is_told_elsewhere(pod: Pod, *, now: float) -> bool:
    return crashes(pod, now=now) or bool(pod.problem and not pod.ready)


def _why(service: Service, port: int, *, pods: list[Pod], evidence: Evidence) -> str:
    endpoints = _endpoints(service, port, evidence=evidence)
    ready = [one for one in endpoints if one.ready]
    if ready:
        addresses = listed([f"{one.ip}:{one.port}" for one in ready])
        return f"the circuit is open: none of its {len(ready)} endpoints ({addresses}) takes connections"
    if not pods:
        return "it has no endpoint: no pod has the labels that it selects"
    gone = [one for one in evidence.changes if one.service[:2] == service.key and one.went]
    since = f" since {listed(sorted(pod.name for pod in gone[-1].went))} went" if gone else ""
    return f"it has no endpoint that is ready{since}"


def _endpoints(service: Service, port: int, *, evidence: Evidence) -> list[Endpoint]:
    return [
        one
        for found in evidence.mesh.endpoints_of(service.key)
        if found.port == port
        for one in found.endpoints
    ]
