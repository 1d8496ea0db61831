"""What `GetProfile` says of a target: its name, whether its bytes are opaque, and who is behind
an address.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.destination.endpoints import facts_of
from linkerd2_py.controlplane.destination.targets import AddressTarget, ServiceTarget, Target
from linkerd2_py.controlplane.destination.topics import address_topic, served_topic, service_topic
from linkerd2_py.controlplane.destination.translator import weighted_address
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta


@dataclass(frozen=True, slots=True)
class Profile:
    """An encoded DestinationProfile and what it was made from."""

    encoded: bytes
    depends_on: frozenset[Topic]


def profile(target: Target, *, mesh: Mesh) -> Profile:
    """The profile of a service's name (known or not) or virtual address, of a pod's address, or the empty
    one.
    """
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
    # A service has its virtual address on whatever port.
    service = mesh.service_at(str(target.ip))
    if service is None:
        return _of_pod(target, mesh=mesh, topics=topics)
    found = _of_service(ServiceTarget(service.key, target.port), mesh=mesh)
    return Profile(found.encoded, found.depends_on | topics)


def _of_pod(target: AddressTarget, *, mesh: Mesh, topics: set[Topic]) -> Profile:
    message = _default()
    ip = str(target.ip)
    pod = next((pod for pod in mesh.pods_at(ip) if pod.status != "Failed"), None)
    if pod is not None:
        topics.add(served_topic(pod.key))
        topics |= {service_topic(found.service_key) for found in mesh.endpoints_with(pod.key)}
        port, opaque = _served(pod, number=target.port, mesh=mesh)
        endpoint = facts_of(pod, ip=ip, port=port, opaque=opaque)
        message.opaque_protocol = opaque
        message.endpoint.CopyFrom(weighted_address(endpoint))
        message.endpoint.metric_labels["namespace"] = pod.namespace
    return Profile(_encode(message), frozenset(topics))


class _ServedPort(NamedTuple):
    """A port that a pod serves for some service: its `own` number, and the one that peers connect to."""

    own: int | str
    seen: int
    opaque: bool


def _served(pod: Pod, *, number: int, mesh: Mesh) -> tuple[int, bool]:
    """The port that peers connect to for either number, and whether any service says that its bytes are not
    to be parsed.
    """
    ports = list(_served_ports(pod, mesh=mesh))
    seen = next((port.seen for port in ports if number in {port.own, port.seen}), number)
    return seen, any(port.opaque for port in ports if port.seen == seen)


def _served_ports(pod: Pod, *, mesh: Mesh) -> Iterator[_ServedPort]:
    for found in mesh.endpoints_with(pod.key):
        service = mesh.services.get(found.service_key)
        spec = service.port(found.port) if service else None
        own, opaque = (spec.target_port, spec.opaque) if spec else (found.port, False)
        for endpoint in found.endpoints:
            if endpoint.pod == pod.key:
                yield _ServedPort(own, endpoint.port, opaque)


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
