"""Pods that fail where others of their workload do not."""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence, Minute
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import ago, listed, owners, percent, resource, statuses
from linkerd2_py.controlplane.mesh.objects import Key, WorkloadKey

_FEWEST: Final = 2.0
"""A balancer that has seen a pod fail soon asks it rarely."""
_FAILS: Final = 0.3
_WELL: Final = 0.05


def find(evidence: Evidence) -> Iterator[Finding]:
    """Fewer than half of its replicas."""
    for owner in sorted(evidence.mesh.workloads):
        bad = bad_pods(owner, evidence=evidence)
        if not bad:
            continue
        pods = evidence.mesh.pods_of(owner)
        failed = sum(evidence.arrived(pod).failed for pod in bad)
        total = sum(sum(evidence.arrived(pod.key)) for pod in pods)
        own = sum(sum(evidence.arrived(pod)) for pod in bad)
        names = [pod.name for pod in sorted(bad)]
        sentence = (
            f"{owner.name}: {listed(names)} alone fails, {percent(failed, of=own)} of its requests, with "
            f"{statuses(bad, evidence=evidence)}; the other {len(pods) - len(bad)} of {len(pods)} replicas "
            "are well"
            f"{_since(bad, evidence=evidence)}"
        )
        commands = (
            f"stat po --from {_client(bad, evidence=evidence)}",
            f"stat po {' '.join(names)}",
        )
        share = failed / total if total else 0.0
        about = owners([call.client for call in evidence.calls_to(pods)], evidence=evidence)
        where = resource(owner)
        yield Finding(Weight.ONE_POD, owner.namespace, where, sentence, commands, share, about)


def bad_pods(owner: WorkloadKey, *, evidence: Evidence) -> list[Key]:
    """Those that fail while most others are well; none where most of them do."""
    arrived = {pod.key: evidence.arrived(pod.key) for pod in evidence.mesh.pods_of(owner)}
    busy = {pod: minute for pod, minute in arrived.items() if sum(minute)}
    bad = [
        pod for pod, minute in busy.items() if minute.failed >= _FEWEST and _rate(minute) >= _FAILS
    ]
    well = [pod for pod, minute in busy.items() if _rate(minute) <= _WELL]
    is_one = 0 < len(bad) < len(well) or (len(bad) == 1 and len(well) == 1)
    return bad if is_one and len(bad) + len(well) == len(busy) else []


def _rate(minute: Minute) -> float:
    return minute.failed / sum(minute)


def _client(pods: list[Key], *, evidence: Evidence) -> str:
    callers = sorted(
        resource(owner)
        for owner in owners(
            [call.client for call in evidence.called if call.server in pods], evidence=evidence
        )
    )
    return callers[0] if callers else "ns/" + pods[0].namespace


def _since(pods: list[Key], *, evidence: Evidence) -> str:
    found = evidence.mesh.pods.get(pods[0])
    if found is None or not found.started or evidence.now - found.started > 600:
        return ""
    return f"; it was started {ago(evidence.now - found.started)} ago"
