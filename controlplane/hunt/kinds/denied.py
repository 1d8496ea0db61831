"""Requests and connections that a policy turns away."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence, Refused
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import listed, name_of, percent, resource_of
from linkerd2_py.controlplane.mesh.objects import Key, WorkloadKey

_FEWEST: Final = 1.5
"""Refusals in a window: one is somebody's attempt."""
_IDENTITY: Final = ".serviceaccount.identity."


def find(evidence: Evidence) -> Iterator[Finding]:
    """One for each workload and Server: who is refused."""
    grouped: defaultdict[tuple[object, str, str], list[Refused]] = defaultdict(list)
    for one in evidence.refused:
        if one.times:
            grouped[evidence.owner(one.pod) or one.pod, one.server, one.port].append(one)
    for (_, server, port), refused in sorted(grouped.items(), key=lambda item: str(item[0])):
        count = sum(one.times for one in refused)
        if count < _FEWEST:
            continue
        pod = refused[0].pod
        who = listed(sorted({_client(one.client) for one in refused}))
        let_in = _let_in({one.pod for one in refused}, evidence=evidence)
        policy = (
            f"its default policy {server}"
            if refused[0].server_kind == "default"
            else f"the Server {server}"
        )
        sentence = (
            f"{name_of(pod, evidence=evidence)}: {policy} refuses {who} at port {port}: "
            f"{percent(count, of=count + let_in)} of what arrives"
        )
        where = resource_of(pod, evidence=evidence)
        commands = (
            f"authz {where} --stats",
            f"diagnostics policy po/{pod.name} {port}",
            f"edges {where.partition('/')[0]}",
        )
        about = frozenset().union(*(_accounts(one.client, evidence) for one in refused))
        share = count / (count + let_in)
        yield Finding(Weight.DENIED, pod.namespace, where, sentence, commands, share, about)


def _let_in(pods: Collection[Key], *, evidence: Evidence) -> float:
    """What these pods answered themselves: a refusal is an answer of their proxies."""
    return sum(
        one.times
        for one in evidence.answers_of(pods)
        if one.outcome.status != "403" and one.outcome.grpc_status != "7"
    )


def _client(identity: str) -> str:
    """`web.emojivoto`, as people know an account."""
    return identity.partition(_IDENTITY)[0] or "clients without an identity"


def _accounts(identity: str, evidence: Evidence) -> frozenset[WorkloadKey]:
    account, _, namespace = identity.partition(_IDENTITY)[0].partition(".")
    mine = Key(namespace, account)
    return frozenset(
        pod.owner_key
        for pod in evidence.mesh.pods.values()
        if pod.owner_key and Key(pod.namespace, pod.service_account) == mine
    )
