"""`/api/v1/hunt`: what is wrong with the mesh, or with one resource of it, the most likely cause first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, ranked
from linkerd2_py.controlplane.hunt.gather import Sources, gather
from linkerd2_py.controlplane.hunt.kinds import KINDS
from linkerd2_py.controlplane.mesh.objects import Key, WorkloadKey
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    MINUTE,
    WINDOW,
    Length,
    check_window,
    kind_parameter,
)
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import (
    KIND_NAMES,
    WORKLOADS,
    Kind,
    parse_kind,
    short_name,
)
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

_KINDS: Final = WORKLOADS | {Kind.POD, Kind.SERVICE}
_NAMES: Final = [name for name in KIND_NAMES if parse_kind(name) in _KINDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntAsked:
    """What is asked."""

    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""
    type: Annotated[Kind | None, kind_parameter("only about this: deploy, svc …", names=_NAMES)] = (
        None
    )
    name: Annotated[str, Parameter("only about the thing of this name")] = ""
    window: Annotated[Length, WINDOW] = MINUTE


class ListedFinding(TypedDict):
    """One thing that is wrong; `commands` are words after the program's name, in its namespace."""

    kind: str
    namespace: str
    resource: str
    sentence: str
    score: float
    since_s: float | None
    commands: list[str]


class Hunt(TypedDict):
    """The answer: findings by score, and how much was looked at."""

    findings: list[ListedFinding]
    pods: int
    requests: float


def hunt(sources: Sources) -> Operation[HuntAsked]:
    """The operation."""

    async def answer(asked: HuntAsked) -> Hunt:
        check_window(asked.window, longest_s=sources.metrics.longest_window_s)
        meant = _meant(asked, sources=sources)
        evidence = await gather(sources, window_s=asked.window.seconds)
        findings = [one async for find in in_slices(KINDS) for one in find(evidence)]
        wanted = ranked(one for one in findings if _is_meant(one, asked, meant=meant))
        namespace = asked.namespace
        pods = [pod for pod in evidence.mesh.pods if namespace in {"", pod.namespace}]
        return {
            "findings": [_listed(one) for one in wanted],
            "pods": len(pods),
            "requests": _requests(evidence, namespace=namespace),
        }

    return Operation("/api/v1/hunt", "What is wrong, and what shows it", HuntAsked, Hunt, answer)


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a question is about, by the names that findings have for it."""

    resources: frozenset[str]
    owners: frozenset[WorkloadKey]


def _meant(asked: HuntAsked, *, sources: Sources) -> _Meant | None:
    """None: about everything. Raises `InvalidQueryError`."""
    kind, name, namespace = asked.type, asked.name, asked.namespace
    if kind is None or not name:
        if name or kind is not None:
            raise InvalidQueryError("a hunt is about one thing, type and name, or about everything")
        return None
    if kind not in _KINDS or not namespace:
        raise InvalidQueryError("a hunt is about po, svc or what owns pods, of one namespace")
    mesh = sources.mesh
    if kind in WORKLOADS:
        owner = WorkloadKey(kind.value, namespace, name)
        return _Meant(frozenset({f"{short_name(kind.value)}/{name}"}), frozenset({owner}))
    pods: Iterable[Key] = (Key(namespace, name),)
    if kind is Kind.SERVICE:
        service = mesh.services.get(Key(namespace, name))
        pods = [pod.key for pod in mesh.pods.values() if service and service.selects(pod)]
    found = [mesh.pods[pod] for pod in pods if pod in mesh.pods]
    owners = frozenset(pod.owner_key for pod in found if pod.owner_key)
    named = {f"{short_name(owner.kind)}/{owner.name}" for owner in owners}
    return _Meant(frozenset({f"{short_name(kind.value)}/{name}", *named}), owners)


def _is_meant(finding: Finding, asked: HuntAsked, *, meant: _Meant | None) -> bool:
    if not finding.namespace:
        return True
    if meant is not None and finding.about & meant.owners:
        return True
    in_namespace = asked.namespace in {"", finding.namespace}
    if meant is not None:
        return in_namespace and finding.resource in meant.resources
    return in_namespace or any(owner.namespace == asked.namespace for owner in finding.about)


def _requests(evidence: Evidence, *, namespace: str) -> float:
    return sum(one.times for one in evidence.answered if namespace in {"", one.pod.namespace})


def _listed(finding: Finding) -> ListedFinding:
    return {
        "kind": finding.kind.name.lower(),
        "namespace": finding.namespace,
        "resource": finding.resource,
        "sentence": finding.sentence,
        "score": finding.score,
        "since_s": finding.since_s,
        "commands": list(finding.commands),
    }
