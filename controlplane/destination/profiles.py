"""What `GetProfile` says of a target: its name and its routes, whether its bytes are opaque, and who is
behind an address.
"""

from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.names import LABEL_NAMESPACE
from linkerd2_py.controlplane.destination import facts, routes
from linkerd2_py.controlplane.destination.facts import LABEL_ZONE, EndpointFacts
from linkerd2_py.controlplane.destination.questions import ProfileQuestion
from linkerd2_py.controlplane.destination.refusals import Refusal
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.destination.targets import ServiceTarget
from linkerd2_py.controlplane.destination.topics import (
    address_topic,
    profile_topic,
    served_topic,
    servers_topic,
    service_topic,
)
from linkerd2_py.controlplane.destination.translator import weighted_address
from linkerd2_py.controlplane.mesh.objects import ExternalWorkload, Key, Pod, Service
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta

_PROFILES: Final = "linkerd.io"


@dataclass(frozen=True, slots=True)
class Profile:
    """An encoded DestinationProfile and what it was made from. `encoded` is None where nothing can be said;
    who asks anew is told the `refusal`, if there is one, and hears nothing otherwise.
    """

    encoded: bytes | None
    depends_on: frozenset[Topic]
    refusal: Refusal | None = None


def profile(question: ProfileQuestion, *, mesh: Mesh, settings: Settings) -> Profile:
    """The profile of a service's name or virtual address, of a pod's name or address, or of an address that
    nobody is known to have.
    """
    target = question.target
    if isinstance(target, ServiceTarget):
        of_target = _of_instance if target.instance else _of_service
        return of_target(question, target, mesh=mesh, settings=settings)
    ip = str(target.ip)
    topics = frozenset({address_topic(ip)})
    # A service has its virtual address on whatever port.
    service = mesh.service_at(ip)
    if service is not None:
        named = ServiceTarget(service.key, target.port)
        found = _of_service(question, named, mesh=mesh, settings=settings)
        return Profile(found.encoded, found.depends_on | topics, found.refusal)
    return _of_address(ip, port=target.port, topics=topics, mesh=mesh, settings=settings)


def _of_service(
    question: ProfileQuestion, target: ServiceTarget, *, mesh: Mesh, settings: Settings
) -> Profile:
    del settings
    names = [Key(question.namespace, target.fully_qualified_name)] if question.namespace else []
    names.append(Key(target.service.namespace, target.fully_qualified_name))
    topics = frozenset({service_topic(target.service), *map(profile_topic, names)})
    service = mesh.services.get(target.service)
    if service is None:
        words = f'service "{target.service.name}" not found'
        return Profile(None, topics, Refusal("unknown", words))
    if service.port(target.port) is None:
        # What policy says of such a port holds.
        return Profile(b"", topics)
    if service.alias:
        words = f"Invalid authority: {target.fully_qualified_name}:{target.port}"
        return Profile(None, topics, Refusal("invalid", words))
    said = next(
        (mesh.service_profiles[name] for name in names if name in mesh.service_profiles), None
    )
    if said is not None and said.problem:
        return Profile(None, topics)
    return Profile(_service_profile(service, target, said=said), topics)


def _service_profile(
    service: Service, target: ServiceTarget, *, said: ServiceProfile | None
) -> bytes:
    spec = service.port(target.port)
    reference = meta.Resource(
        group="core",
        kind="Service",
        name=service.name,
        namespace=service.namespace,
        port=target.port,
    )
    # Of one that nobody has written, the group alone.
    says = meta.Resource(group=_PROFILES)
    if said is not None:
        says = meta.Resource(group=_PROFILES, name=said.name, namespace=said.namespace)
    message = destination.DestinationProfile(
        fully_qualified_name=target.fully_qualified_name,
        opaque_protocol=spec is not None and spec.opaque,
        retry_budget=routes.budget(said.budget if said else None),
        routes=[routes.route(one) for one in said.routes] if said else (),
        parent_ref=meta.Metadata(resource=reference),
        profile_ref=meta.Metadata(resource=says),
    )
    for one in said.overrides if said else ():
        message.dst_overrides.append(routes.override(one, port=target.port))
    return _encode(message)


def _of_instance(
    question: ProfileQuestion, target: ServiceTarget, *, mesh: Mesh, settings: Settings
) -> Profile:
    """Of a pod by its name below a service's, ready or not: members of a cluster find each other before they
    are.
    """
    del question
    topics = frozenset({served_topic(target.service)})
    key = next(
        (
            end.pod
            for found in mesh.endpoints_of(target.service)
            for end in found.endpoints
            if end.hostname == target.instance and end.pod
        ),
        None,
    )
    pod = mesh.pods.get(key) if key else None
    if pod is None:
        where = "/".join(target.service)
        words = f"no pod found in EndpointSlices of Service {where} for hostname {target.instance}"
        return Profile(None, topics, Refusal("not found", words))
    topics |= {address_topic(pod.ip)}
    return _of_workload(
        pod, ip=pod.ip, port=target.port, topics=topics, mesh=mesh, settings=settings
    )


def _of_address(
    ip: str, *, port: int, topics: frozenset[Topic], mesh: Mesh, settings: Settings
) -> Profile:
    found = _pod_at(ip, port=port, mesh=mesh) or next(iter(mesh.externals_at(ip, port)), None)
    if found is not None:
        return _of_workload(found, ip=ip, port=port, topics=topics, mesh=mesh, settings=settings)
    bare = EndpointFacts(ip, port, {})
    opaque = port in settings.default_opaque_ports
    return Profile(_endpoint_profile(bare, opaque=opaque, settings=settings), topics)


def _pod_at(ip: str, *, port: int, mesh: Mesh) -> Pod | None:
    """Who has an address, or is reached at a port of its node. One that ends may have it as well as the next;
    one that has ended has it no more.
    """
    candidates = [*mesh.pods_at(ip), *mesh.pods_behind(ip, port)]
    living = [pod for pod in candidates if pod.status != "Failed"]
    return min(living, key=lambda pod: pod.status == "Terminating", default=None)


def _of_workload(
    workload: Pod | ExternalWorkload,
    *,
    ip: str,
    port: int,
    topics: frozenset[Topic],
    mesh: Mesh,
    settings: Settings,
) -> Profile:
    labels = {LABEL_NAMESPACE: workload.namespace, LABEL_ZONE: ""}
    if isinstance(workload, Pod):
        seen = workload.relays.get(port, port)
        endpoint = facts.of_pod(
            workload, address=(ip, seen), labels=labels, mesh=mesh, settings=settings
        )
    else:
        seen = port
        endpoint = facts.of_external(
            workload, address=(ip, seen), labels=labels, mesh=mesh, settings=settings
        )
    opaque = facts.is_opaque(workload, port=seen, mesh=mesh)
    encoded = _endpoint_profile(endpoint, opaque=opaque, settings=settings)
    return Profile(encoded, topics | {servers_topic(workload.namespace)})


def _endpoint_profile(endpoint: EndpointFacts, *, opaque: bool, settings: Settings) -> bytes:
    return _encode(
        destination.DestinationProfile(
            opaque_protocol=opaque,
            retry_budget=routes.budget(None),
            endpoint=weighted_address(endpoint, keep_alive=settings.meshed_http2),
        )
    )


def _encode(message: destination.DestinationProfile) -> bytes:
    return message.SerializeToString(deterministic=True)
