"""What `GetProfile` says of a target: its name, whether its bytes are opaque, and who is behind an address."""

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.destination.endpoints import endpoint_of
from linkerd2_py.controlplane.destination.targets import AddressTarget, ServiceTarget, Target
from linkerd2_py.controlplane.destination.topics import (
    Topic,
    address_topic,
    callers_topic,
    service_topic,
)
from linkerd2_py.controlplane.destination.translator import weighted_address
from linkerd2_py.controlplane.mesh.objects import Key, Mesh, Pod, Service
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta


@dataclass(frozen=True, slots=True)
class Profile:
    """An encoded DestinationProfile and what it was made from."""

    encoded: bytes
    depends_on: frozenset[Topic]


def profile(target: Target, *, mesh: Mesh) -> Profile:
    """The profile of a service's name (known or not) or virtual address, of a pod's address, or the empty one."""
    if isinstance(target, ServiceTarget):
        return _of_service(target, mesh=mesh)
    return _of_address(target, mesh=mesh)


def _of_service(target: ServiceTarget, *, mesh: Mesh) -> Profile:
    service = mesh.services.get(target.service)
    spec = service.port(target.port) if service else None
    message = _default()
    message.fully_qualified_name = target.fully_qualified_name
    message.opaque_protocol = spec is not None and spec.opaque
    if service is not None:
        message.parent_ref.CopyFrom(_service_reference(target))
    return Profile(_encode(message), frozenset({service_topic(target.service)}))


def _of_address(target: AddressTarget, *, mesh: Mesh) -> Profile:
    topics = {address_topic(str(target.ip))}
    service = _service_at(target, mesh=mesh)
    if service is None:
        return _of_pod(target, mesh=mesh, topics=topics)
    found = _of_service(ServiceTarget(service.key, target.port), mesh=mesh)
    return Profile(found.encoded, found.depends_on | topics)


def _of_pod(target: AddressTarget, *, mesh: Mesh, topics: set[Topic]) -> Profile:
    message = _default()
    found = _pod_at(target, mesh=mesh)
    if found is not None:
        pod, target_port = found
        topics.add(callers_topic(pod.workload_key))
        opaque = _opaque(pod.workload_key, target_port=target_port, mesh=mesh)
        port = pod.ports.get(target_port, target.port)
        endpoint = endpoint_of(pod, ip=str(target.ip), port=port, opaque=opaque)
        message.opaque_protocol = opaque
        message.endpoint.CopyFrom(weighted_address(endpoint))
        message.endpoint.metric_labels["namespace"] = pod.namespace
    return Profile(_encode(message), frozenset(topics))


def _service_at(target: AddressTarget, *, mesh: Mesh) -> Service | None:
    """The service whose virtual address it is, on whatever port."""
    ip = str(target.ip)
    return next((service for service in mesh.services.values() if ip in service.ips), None)


def _pod_at(target: AddressTarget, *, mesh: Mesh) -> tuple[Pod, int] | None:
    """The pod that has the address, with its own number of the port that was connected to."""
    for pod in mesh.pods.values():
        if str(target.ip) not in pod.ips or pod.status == "Failed":
            continue
        for own, seen in pod.ports.items():
            if target.port in {own, seen}:
                return pod, own
        return pod, target.port
    return None


def _opaque(workload: Key, *, target_port: int, mesh: Mesh) -> bool:
    return any(
        spec.opaque and spec.target_port == target_port
        for service in mesh.services.values()
        if Key(service.namespace, service.workload) == workload
        for spec in service.ports
    )


def _default() -> destination.DestinationProfile:
    # The budget that Linkerd gives every target without a profile of its own.
    budget = destination.RetryBudget(
        retry_ratio=0.2, min_retries_per_second=10, ttl=Duration(seconds=10)
    )
    return destination.DestinationProfile(retry_budget=budget)


def _service_reference(target: ServiceTarget) -> meta.Metadata:
    return meta.Metadata(
        resource=meta.Resource(
            group="core",
            kind="Service",
            name=target.service.name,
            namespace=target.service.namespace,
            port=target.port,
        )
    )


def _encode(message: destination.DestinationProfile) -> bytes:
    return message.SerializeToString(deterministic=True)
