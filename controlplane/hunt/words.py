"""How findings are said."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence, Outcome
from linkerd2_py.controlplane.mesh.objects import Key, Pod, WorkloadKey

_SHORT: Final[Mapping[str, str]] = {
    "cronjob": "cj",
    "daemonset": "ds",
    "deployment": "deploy",
    "replicationcontroller": "rc",
    "replicaset": "rs",
    "statefulset": "sts",
}
_GRPC: Final = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five")


def resource(owner: WorkloadKey) -> str:
    """`deploy/web`."""
    return f"{_SHORT.get(owner.kind, owner.kind)}/{owner.name}"


def resource_of(pod: Key, *, evidence: Evidence) -> str:
    """The workload of a pod, or the pod where nobody owns it."""
    owner = evidence.owner(pod)
    return resource(owner) if owner else f"po/{pod.name}"


def name_of(pod: Key, *, evidence: Evidence) -> str:
    """The name of its workload, by which people know it."""
    owner = evidence.owner(pod)
    return owner.name if owner else pod.name


def owners(pods: Iterable[Key], *, evidence: Evidence) -> frozenset[WorkloadKey]:
    """The workloads of pods."""
    return frozenset(owner for pod in pods if (owner := evidence.owner(pod)))


def status(outcome: Outcome) -> str:
    """`UNKNOWN`, or `500`."""
    code = outcome.grpc_status
    if code.isdecimal() and int(code) < len(_GRPC):
        return _GRPC[int(code)]
    return code or outcome.status or outcome.error or "no status"


def statuses(pods: Collection[Key], *, evidence: Evidence) -> str:
    """What failures of these pods say, the most frequent first."""
    counts: defaultdict[str, float] = defaultdict(float)
    for one in evidence.answers_of(pods):
        if one.outcome.is_failure:
            counts[status(one.outcome)] += one.times
    return listed(sorted(counts, key=lambda code: -counts[code]))


def replicas(failing: Collection[Key], *, of: Collection[Pod]) -> str:
    """On which of the pods: `on both replicas`, `on web-1`; empty where there is only one."""
    if len(of) < 2:
        return ""
    if len(failing) < len(of):
        return f" on {listed(sorted(pod.name for pod in failing))} ({len(failing)} of {len(of)} replicas)"
    return " on both replicas" if len(of) == 2 else f" on all {number(len(of))} replicas"


def number(count: int) -> str:
    """As people write small ones."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def listed(names: Collection[str], *, most: int = 3) -> str:
    """`a, b and c`, or the first of them and how many more there are."""
    shown = list(names)[:most]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def percent(part: float, *, of: float) -> str:
    """A share, never 0% of some nor 100% of less than all."""
    share = 100.0 * part / of if of else 0.0
    return f"{share:.0f}%" if 1 <= share <= 99 or share in {0.0, 100.0} else f"{share:.1f}%"


def ago(seconds: float) -> str:
    """How long, in the unit that says it."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0.0):.0f}s"
