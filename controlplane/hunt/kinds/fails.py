"""Workloads that fail: with which status, by which of their routes, on which replicas, since when."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from linkerd2_py.controlplane.hunt.evidence import Answered, Evidence, Minute
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.kinds.one_pod import bad_pods
from linkerd2_py.controlplane.hunt.kinds.since import since
from linkerd2_py.controlplane.hunt.words import (
    listed,
    owners,
    percent,
    replicas,
    resource,
    statuses,
)
from linkerd2_py.controlplane.mesh.objects import Key, WorkloadKey

_FEWEST: Final = 2.0
_SHARE: Final = 0.01
_MOSTLY: Final = 0.5
_WELL: Final = 0.05


class Failing(NamedTuple):
    """A route, with what arrived for it."""

    name: str
    minute: Minute


def find(evidence: Evidence) -> Iterator[Finding]:
    """One for each workload, but where only some of its pods fail, which is another kind."""
    for owner in sorted(evidence.mesh.workloads):
        pods = {pod.key for pod in evidence.mesh.pods_of(owner)}
        mine = list(evidence.answers_of(pods))
        failed = [one for one in mine if one.outcome.is_failure]
        count, total = _sum(failed), _sum(mine)
        is_over = not sum(one.recent for one in failed)
        if (
            count < _FEWEST
            or count < total * _SHARE
            or is_over
            or bad_pods(owner, evidence=evidence)
        ):
            continue
        yield _finding(owner, failed, share=count / total, evidence=evidence)


def _sum(answers: Sequence[Answered]) -> float:
    return sum(one.times for one in answers)


def _finding(
    owner: WorkloadKey, failed: Sequence[Answered], *, share: float, evidence: Evidence
) -> Finding:
    pods = evidence.mesh.pods_of(owner)
    where = resource(owner)
    failing = {one.pod for one in failed}
    routes, well = _routes({pod.key for pod in pods}, evidence=evidence)
    if routes:
        what = f"{listed([short(route.name) for route in routes])} {'fail' if len(routes) > 1 else 'fails'}"
        worst = sum(route.minute.failed for route in routes) / sum(
            sum(route.minute) for route in routes
        )
        how_much = "" if worst > 0.99 else f" {percent(worst, of=1.0)} of the time"
        rest = "; its other routes are well" if well else ""
    else:
        what, rest = "fails", ""
        how_much = f" {percent(share, of=1.0)} of its requests"
    codes = statuses(failing, evidence=evidence)
    while_ = since(failing, evidence=evidence)
    sentence = (
        f"{owner.name}: {what}{how_much} with {codes}{replicas(failing, of=pods)}{while_}{rest}"
    )
    commands = (
        f"routes {where}",
        f"stat {where.partition('/')[0]} --to {where}",
        f"diagnostics proxy-metrics {where} | grep 'classification=\"failure\"'",
    )
    about = owners([call.client for call in evidence.calls_to(pods)], evidence=evidence)
    return Finding(Weight.FAILS, owner.namespace, where, sentence, commands, share, about)


def _routes(pods: Collection[Key], *, evidence: Evidence) -> tuple[list[Failing], bool]:
    """The routes that fail, if it is some of them, and whether any is well."""
    by_route: dict[str, Minute] = {}
    for one in evidence.routes_of(pods):
        well, failed = by_route.get(one.route, Minute(0, 0))
        bad = one.times if one.outcome.is_failure else 0.0
        by_route[one.route] = Minute(well + one.times - bad, failed + bad)
    failing = [
        Failing(route, minute)
        for route, minute in by_route.items()
        if route and minute.failed >= _FEWEST and minute.failed >= sum(minute) * _MOSTLY
    ]
    well = any(minute.failed <= sum(minute) * _WELL for minute in by_route.values())
    return sorted(failing, key=lambda one: -one.minute.failed), well


def short(route: str) -> str:
    """`VoteDoughnut` of `/emojivoto.v1.VotingService/VoteDoughnut`: a method of gRPC is known by its name."""
    parts = route.split("/")
    is_method = len(parts) == 3 and not parts[0] and "." in parts[1]
    return parts[2] if is_method and parts[2] else route
