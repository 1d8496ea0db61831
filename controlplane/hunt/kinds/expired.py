"""Certificates that have ended: connections of proxies are refused, or soon will be."""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import ago, listed, name_of, resource_of

_COMMANDS: Final = ("check --proxy", "identity")


def find(evidence: Evidence) -> Iterator[Finding]:
    """The issuer's, or an anchor's, explains those of all proxies."""
    known = {pod: ends for pod, ends in evidence.certificates.items() if ends}
    ended = sorted(pod for pod, ends in known.items() if ends <= evidence.now)
    if evidence.trust_ends is not None and evidence.trust_ends <= evidence.now:
        since = evidence.now - evidence.trust_ends
        sentence = (
            f"the mesh's issuer, or its trust anchor, has expired {ago(since)} ago: no proxy gets a new "
            f"certificate, and those of {len(ended)} of {len(known)} proxies have ended"
        )
        yield Finding(Weight.EXPIRED, "", "mesh", sentence, ("check", *_COMMANDS), since_s=since)
        return
    for pod in ended:
        since = evidence.now - known[pod]
        others = [one for one in ended if evidence.owner(one) == evidence.owner(pod)]
        if pod != others[0]:
            continue
        sentence = (
            f"{name_of(pod, evidence=evidence)}: the certificate of "
            f"{listed([one.name for one in others])} has expired {ago(since)} ago, so nobody trusts it"
        )
        commands = (f"identity {pod.name}", "check --proxy")
        where = resource_of(pod, evidence=evidence)
        share = len(others) / max(len(evidence.siblings(pod)), 1)
        yield Finding(
            Weight.EXPIRED, pod.namespace, where, sentence, commands, share, since_s=since
        )
