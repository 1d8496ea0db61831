"""Pods that are slower than others of their workload."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import owners, resource
from linkerd2_py.controlplane.mesh.objects import Key, WorkloadKey

_TIMES: Final = 4.0
_MORE_MS: Final = 50.0
_FEWEST: Final = 3.0
"""Requests that say something of a pod."""
_STARVED: Final = 0.1
"""Fewer, in proportion to its siblings, gets only whom balancers avoid: then little is enough, if it says
much.
"""
_MUCH: Final = 2.5


def find(evidence: Evidence) -> Iterator[Finding]:
    """By the time that half of their requests take."""
    for owner in sorted(evidence.mesh.workloads):
        for pod, others_ms in _slow(owner, evidence=evidence):
            latency = evidence.latencies[pod]
            sentence = (
                f"{owner.name}: {pod.name} is slow: half of its requests take {latency.p50:.0f}ms and "
                f"more, those of its siblings {others_ms:.0f}ms"
            )
            where = resource(owner)
            pods = evidence.mesh.pods_of(owner)
            about = owners([call.client for call in evidence.calls_to(pods)], evidence=evidence)
            share = sum(evidence.arrived(pod)) / sum(sum(evidence.arrived(one.key)) for one in pods)
            commands = (
                f"stat po {' '.join(sorted(one.name for one in pods))}",
                f"routes po/{pod.name}",
            )
            yield Finding(Weight.SLOW, owner.namespace, where, sentence, commands, share, about)


def _slow(owner: WorkloadKey, *, evidence: Evidence) -> Iterator[tuple[Key, float]]:
    pods = [pod.key for pod in evidence.mesh.pods_of(owner)]
    known = {pod: evidence.latencies[pod].p50 for pod in pods if pod in evidence.latencies}
    asked = {pod: sum(evidence.arrived(pod)) for pod in known}
    for pod, own_ms in sorted(known.items()):
        others = [other for other in known if other != pod and asked[other] >= _FEWEST]
        if not others:
            continue
        is_starved = asked[pod] < median(asked[other] for other in others) * _STARVED
        if asked[pod] < _FEWEST and not is_starved:
            continue
        much = 1.0 if asked[pod] >= _FEWEST else _MUCH
        others_ms = median(known[other] for other in others)
        if own_ms >= others_ms * _TIMES * much and own_ms >= others_ms + _MORE_MS * much:
            yield pod, others_ms
