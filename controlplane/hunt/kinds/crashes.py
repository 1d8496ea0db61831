"""Programs that end again and again."""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import ago, listed, name_of, owners, resource_of
from linkerd2_py.controlplane.mesh.objects import Pod

_MOST_OFTEN: Final = 2
_RECENTLY_S: Final = 600.0
"""The longest pause that Kubernetes and a local mesh make between two starts is half of it."""


def find(evidence: Evidence) -> Iterator[Finding]:
    """One for each workload, with the last words of one of its pods."""
    seen: dict[object, list[Pod]] = {}
    for pod in sorted(evidence.mesh.pods.values(), key=lambda one: one.key):
        if crashes(pod, now=evidence.now):
            seen.setdefault(pod.owner_key or pod.key, []).append(pod)
    for pods in seen.values():
        pod = max(pods, key=lambda one: one.restarts)
        since = evidence.now - pod.last_exit_at
        calls = list(evidence.calls_to(pods))
        failing = sum(call.recent for call in calls if call.outcome.is_failure)
        suffers = "; calls to it fail" if failing else ""
        sentence = (
            f"{name_of(pod.key, evidence=evidence)}: {listed([one.name for one in pods])} crashes again and "
            f"again, {pod.restarts} times so far, last {ago(since)} ago: {pod.last_exit}{suffers}"
        )
        where = resource_of(pod.key, evidence=evidence)
        commands = ("get po", _logs(where, evidence=evidence))
        share = len(pods) / max(len(evidence.siblings(pod.key)), 1)
        callers = owners(
            [call.client for call in calls if call.outcome.is_failure], evidence=evidence
        )
        yield Finding(
            Weight.CRASHES, pod.namespace, where, sentence, commands, share, callers, since_s=since
        )


def crashes(pod: Pod, *, now: float) -> bool:
    """Whether it ended more than once, and not long ago; one that is well again since then does not."""
    again = pod.restarts >= _MOST_OFTEN and pod.last_exit and now - pod.last_exit_at < _RECENTLY_S
    return bool(again) and not pod.serving


def _logs(where: str, *, evidence: Evidence) -> str:
    """Of a cluster it has them."""
    if evidence.in_cluster:
        return f"kubectl logs {where} --previous"
    return f"local logs {where} -c app --tail 5"
