"""Ports that a service leads to and nobody listens on."""

from collections.abc import Iterator
from typing import Final

from linkerd2_py.base.names import service_authority
from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.kinds.crashes import crashes
from linkerd2_py.controlplane.hunt.words import listed, owners, resource_of
from linkerd2_py.controlplane.mesh.objects import Pod, PortSpec, Service

_SILENT: Final = "nothing answers on"


def find(evidence: Evidence) -> Iterator[Finding]:
    """By what pods declare, or by what was tried."""
    for service in sorted(evidence.mesh.services.values(), key=lambda one: one.key):
        pods = [pod for pod in evidence.behind(service) if pod.status == "Running"]
        pods = [pod for pod in pods if not crashes(pod, now=evidence.now)]
        for spec in service.ports if pods else ():
            problem = _problem(service, spec, pods=pods, evidence=evidence)
            if problem:
                yield _finding(service, spec, problem, pods=pods, evidence=evidence)


def _problem(service: Service, spec: PortSpec, *, pods: list[Pod], evidence: Evidence) -> str:
    if isinstance(spec.target_port, str):
        named = any(port.name == spec.target_port for pod in pods for port in pod.ports)
        return "" if named else f"no pod of it has a port of the name {spec.target_port!r}"
    # What pods declare is only a hint: it counts where nothing arrives.
    declared = {port.number for pod in pods for port in pod.ports}
    if declared and spec.target_port not in declared and _fails(service, evidence=evidence):
        ports = listed([str(number) for number in sorted(declared)])
        return f"its pods declare {ports}, and calls to it fail"
    silent = [pod for pod in pods if not pod.ready and pod.problem.startswith(_SILENT)]
    return silent[0].problem if len(silent) == len(pods) else ""


def _fails(service: Service, *, evidence: Evidence) -> bool:
    calls = [call for call in evidence.called if evidence.service(call.authority) == service]
    failed = sum(call.recent for call in calls if call.outcome.is_failure)
    return failed > 0 and failed >= sum(call.recent for call in calls) / 2


def _finding(
    service: Service, spec: PortSpec, problem: str, *, pods: list[Pod], evidence: Evidence
) -> Finding:
    where = resource_of(pods[0].key, evidence=evidence)
    leads = f"its port {spec.port} leads to {spec.target_port}, where no program listens"
    sentence = f"{service.name}: {leads}: {problem}"
    name = service_authority(service.name, namespace=service.namespace, port=spec.port)
    callers = [call.client for call in evidence.calls_to(pods) if call.outcome.is_failure]
    commands = (
        f"get svc {service.name} -o wide",
        "get po",
        f"diagnostics endpoints {name}",
    )
    return Finding(
        Weight.PORT,
        service.namespace,
        where,
        sentence,
        commands,
        about=owners(callers, evidence=evidence),
    )
