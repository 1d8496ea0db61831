"""Names that DNS does not know, or a DNS that does not answer."""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import name_of, percent, resource_of

_FEWEST: Final = 3.0
_SHARE: Final = 0.5


def find(evidence: Evidence) -> Iterator[Finding]:
    """By the results that each proxy counts. A name without an IPv6 address is none that fails."""
    for pod, results in sorted(evidence.resolved.items()):
        well, total = results.get("ok", 0.0), sum(results.values())
        errors = results.get("error", 0.0)
        failed = total - well if not well else errors
        if pod not in evidence.mesh.pods or failed < _FEWEST or failed < total * _SHARE:
            continue
        why = (
            "DNS does not answer"
            if errors >= failed / 2
            else "DNS does not know the names that it asks for"
        )
        sentence = (
            f"{name_of(pod, evidence=evidence)}: {why}: {percent(failed, of=total)} of the questions of "
            f"{pod.name}'s proxy fail"
        )
        where = resource_of(pod, evidence=evidence)
        commands = (
            f"diagnostics proxy-metrics po/{pod.name} | grep control_dns_resolutions_total",
            f"stat au --from {where}",
        )
        yield Finding(Weight.NAMES, pod.namespace, where, sentence, commands, failed / total)
