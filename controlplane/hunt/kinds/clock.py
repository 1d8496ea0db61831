"""Machines whose clocks differ from the others': their certificates are not valid yet, or not any more."""

from collections.abc import Iterator
from statistics import median
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import ago, name_of, resource_of

_MOST_S: Final = 30.0
"""Samples are of the last seconds; certificates are valid from a minute before they are made."""


def find(evidence: Evidence) -> Iterator[Finding]:
    """Held against the middle of all clocks, the control plane's among them."""
    middle = median([*evidence.clocks.values(), evidence.now])
    for pod, told in sorted(evidence.clocks.items()):
        off = told - middle
        if abs(off) >= _MOST_S and pod in evidence.mesh.pods:
            side = "ahead of" if off > 0 else "behind"
            name = name_of(pod, evidence=evidence)
            node = evidence.mesh.pods[pod].node
            where = f" (its node is {node})" if node else ""
            sentence = (
                f"{name}: the clock of {pod.name}{where} is {ago(abs(off))} {side} that of the others, so "
                "certificates look expired or not yet valid there"
            )
            commands = (f"diagnostics proxy-metrics po/{pod.name}", f"identity {pod.name}")
            where = resource_of(pod, evidence=evidence)
            yield Finding(Weight.CLOCK, pod.namespace, where, sentence, commands)
