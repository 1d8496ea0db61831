"""Proxies whose metrics cannot be read: whatever they see is missing everywhere."""

from collections.abc import Iterator

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import name_of, resource_of


def find(evidence: Evidence) -> Iterator[Finding]:
    """Of pods that are ready: another's proxy may still be starting."""
    for pod, why in sorted(evidence.silent.items()):
        found = evidence.mesh.pods.get(pod)
        if found is not None and found.serving:
            name = name_of(pod, evidence=evidence)
            sentence = f"{name}: the metrics of {pod.name}'s proxy cannot be read: {why}"
            where = resource_of(pod, evidence=evidence)
            commands = (f"diagnostics proxy-metrics po/{pod.name}", "check --proxy")
            yield Finding(Weight.SILENT, pod.namespace, where, sentence, commands)
