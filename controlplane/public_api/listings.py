"""Plain lists: pods, services, and the endpoints that destination answers with."""

import ipaddress

from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD, LABEL_SERVICE
from linkerd2_py.controlplane.destination.destination import Destination, endpoints_target
from linkerd2_py.controlplane.mesh.objects import Mesh, Pod
from linkerd2_py.controlplane.metrics.embedded.queries import Selection, sum_latest
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Report, Scraper
from linkerd2_py.controlplane.public_api.moment import Moment
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import net_pb2 as net

_POD_LABELS = (LABEL_NAMESPACE, LABEL_POD)


def pods_json(
    mesh: Mesh, *, namespace: str, scraper: Scraper, store: SampleStore, now: Moment
) -> list[dict[str, object]]:
    """Every pod, or those of one namespace, as `/api/v1/pods` shows them."""
    everything = Selection({}, _POD_LABELS)
    starts = sum_latest(store, "process_start_time_seconds", selection=everything, at_ms=now.at_ms)
    reports = scraper.reports
    return [
        _pod_json(
            pod,
            report=reports.get(pod.key, Report()),
            version=_proxy_version(pod, store=store, at_ms=now.at_ms),
            started=starts.get((pod.namespace, pod.name), pod.started),
            now=now,
        )
        for _, pod in sorted(mesh.pods.items())
        if namespace in {"", pod.namespace}
    ]


def deployments_json(mesh: Mesh, *, namespace: str) -> list[dict[str, object]]:
    """Every workload, or those of one namespace, with how many of its pods are ready."""
    found: list[dict[str, object]] = []
    for key, deployment in sorted(mesh.deployments.items()):
        pods = list(mesh.pods_of(key))
        if namespace in {"", deployment.namespace}:
            found.append(
                {
                    "kind": "deployment",
                    "namespace": deployment.namespace,
                    "name": deployment.name,
                    "labels": _labels(deployment.name),
                    "replicas": deployment.replicas,
                    "ready": sum(pod.serving for pod in pods),
                    "meshed": deployment.meshed,
                    "restarts": sum(pod.restarts for pod in pods),
                }
            )
    return found


def services_json(mesh: Mesh, *, namespace: str) -> list[dict[str, object]]:
    """Every service, or those of one namespace, with its virtual addresses and ports."""
    return [
        {
            "kind": "service",
            "namespace": service.namespace,
            "name": service.name,
            "labels": _labels(service.workload),
            "workload": service.workload,
            "cluster_ips": list(service.ips),
            "headless": service.headless,
            "ports": [
                {
                    "name": spec.name,
                    "port": spec.port,
                    "target_port": spec.target_port,
                    "opaque": spec.opaque,
                }
                for spec in service.ports
            ],
        }
        for _, service in sorted(mesh.services.items())
        if namespace in {"", service.namespace}
    ]


def endpoints_json(destination: Destination, *, authority: str) -> list[dict[str, object]]:
    """What `Get` answers for an authority; raises `InvalidPathError`."""
    found: list[dict[str, object]] = []
    for encoded in destination.endpoints.snapshot(endpoints_target(authority)):
        update = messages.Update.FromString(encoded)
        found += [_endpoint_json(address, update.add) for address in update.add.addrs]
    return found


def _pod_json(
    pod: Pod, *, report: Report, version: str, started: float, now: Moment
) -> dict[str, object]:
    last = report.last_success
    return {
        "kind": "pod",
        "namespace": pod.namespace,
        "name": pod.name,
        "labels": _labels(pod.workload),
        "owner": f"deploy/{pod.workload}",
        "status": pod.status,
        "ready": pod.ready,
        "meshed": pod.meshed,
        "proxy_ready": last is not None and not report.failure,
        "proxy_version": version,
        "ip": pod.ip,
        "ip6": pod.ip6,
        "identity": pod.identity,
        "admin_addr": pod.admin_addr,
        "uptime_s": max(0.0, now.wall - started) if started else None,
        "since_last_report_s": max(0.0, now.at_ms / 1000 - last) if last is not None else None,
        "restarts": pod.restarts,
        "problem": "" if pod.ready else pod.problem,
        "last_exit": pod.last_exit,
        "since_last_exit_s": max(0.0, now.wall - pod.last_exit_at) if pod.last_exit else None,
    }


def _labels(workload: str) -> dict[str, str]:
    """What there is to select by: the workload that a thing is, belongs to or stands for."""
    return {"app": workload}


def _proxy_version(pod: Pod, *, store: SampleStore, at_ms: int) -> str:
    one_pod = {LABEL_NAMESPACE: pod.namespace, LABEL_POD: pod.name}
    builds = sum_latest(
        store, "proxy_build_info", selection=Selection(one_pod, ("version",)), at_ms=at_ms
    )
    return next((version for (version,) in builds), "")


def _endpoint_json(
    address: messages.WeightedAddr, found: messages.WeightedAddrSet
) -> dict[str, object]:
    return {
        "namespace": found.metric_labels[LABEL_NAMESPACE],
        "service": found.metric_labels[LABEL_SERVICE],
        "ip": _ip(address.addr.ip),
        "port": address.addr.port,
        "pod": address.metric_labels[LABEL_POD],
    }


def _ip(address: net.IPAddress) -> str:
    if address.WhichOneof("ip") == "ipv6":
        return str(ipaddress.IPv6Address(address.ipv6.first << 64 | address.ipv6.last))
    return str(ipaddress.IPv4Address(address.ipv4))
