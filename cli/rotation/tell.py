"""A rotation in words: what has been done, what is next, and what a person has to do for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.program import shown_program
from linkerd2_py.cli.rotation.look import RESTARTABLE, Look
from linkerd2_py.cli.rotation.steps import Proxy, Step

_MOST_NAMED: Final = 10
_RESTARTS: Final = frozenset({Step.RESTART_WORKLOADS, Step.FORGET_IN_WORKLOADS})


def plan_lines(found: Look) -> Iterator[str]:
    """All steps, those that are over with a mark."""
    here = found.next.step
    is_over = found.seen.rotation is not None
    for step in Step:
        is_over = is_over and step is not here
        yield f"{'√' if is_over else '→' if step is here else ' '} {step.value}"


def status_lines(found: Look, *, manual: Mapping[str, str]) -> Iterator[str]:
    """Where it stands, why, and what to run. `manual`: of workloads, why restarting them does not help."""
    step, waits_for = found.next.step, found.next.waits_for
    if step is Step.BEGIN:
        yield f"no rotation has begun; {len(found.seen.bundle)} anchor(s) in the bundle, {_count(found)}"
        yield f"next: `{_command('--apply')}` will {step.value}"
        return
    yield f"next: {step.value}"
    if waits_for:
        yield f"{len(waits_for)} of {len(found.seen.proxies)} proxies are waited for:"
        yield from _by_workload(waits_for, manual=manual)
    if step in _RESTARTS:
        yield from _restart_lines(waits_for, manual=manual)
    elif step is Step.RENEW:
        yield "certificates are renewed by themselves when 70 % of their time is over;"
        yield f"pods that are restarted get theirs at once: `{_command('--apply --restart')}`"
    elif step is Step.REPLACE_ISSUER and found.external:
        yield "the issuer is somebody else's: let them sign it by the new anchor"
        yield "(Secret linkerd-identity-rotation, ca.crt)"
    yield f"then: `{_command('--apply')}`"


def _count(found: Look) -> str:
    return f"{len(found.seen.proxies)} proxies"


def _command(words: str) -> str:
    return f"{shown_program()} identity rotate-anchors {words}"


def _by_workload(proxies: Sequence[Proxy], *, manual: Mapping[str, str]) -> Iterator[str]:
    found: dict[str, int] = {}
    for proxy in proxies:
        name = f"{proxy.namespace} {proxy.workload}"
        found[name] = found.get(name, 0) + 1
    for name, number in [*found.items()][:_MOST_NAMED]:
        why = f": {manual[name]}" if name in manual else ""
        yield printable(f"  {name} ({number}){why}")
    if len(found) > _MOST_NAMED:
        yield f"  … and {len(found) - _MOST_NAMED} more workloads"


def _restart_lines(proxies: Sequence[Proxy], *, manual: Mapping[str, str]) -> Iterator[str]:
    """What kubectl would be told, for those whom it helps."""
    workloads = {(proxy.namespace, proxy.workload): None for proxy in proxies}
    able = [
        (namespace, workload)
        for namespace, workload in workloads
        if workload.partition("/")[0] in RESTARTABLE and f"{namespace} {workload}" not in manual
    ]
    if able:
        yield f"restart them with `{_command('--apply --restart')}`, or yourself:"
        for namespace, workload in able[:_MOST_NAMED]:
            yield printable(f"  kubectl rollout restart -n {namespace} {workload}")
    if len(able) < len(workloads):
        yield "what no template makes anew must end, or be made again by whoever made it"
