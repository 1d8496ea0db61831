"""Who serves a target now: the set that `Get` streams describe."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_SERVICE
from linkerd2_py.controlplane.destination import facts
from linkerd2_py.controlplane.destination.facts import (
    LABEL_ZONE,
    LABEL_ZONE_LOCALITY,
    Address,
    EndpointFacts,
)
from linkerd2_py.controlplane.destination.questions import EndpointsQuestion
from linkerd2_py.controlplane.destination.refusals import Refusal
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.destination.targets import ServiceTarget
from linkerd2_py.controlplane.destination.topics import (
    endpoints_topic,
    node_topic,
    served_topic,
    servers_topic,
    service_topic,
)
from linkerd2_py.controlplane.mesh.balancing import prefers_zone
from linkerd2_py.controlplane.mesh.objects import (
    Endpoint,
    Endpoints,
    EndpointsKey,
    ExternalWorkload,
    Key,
    Labels,
    Pod,
    Service,
    no_labels,
)
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic
from linkerd2_py.controlplane.streams.watches import OutdatedError


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """All ready endpoints of a target, by their addresses, and the labels that all of them have. Where the
    target is none, nobody serves it, and who asks anew is told the `refusal`.
    """

    endpoints: Mapping[Address, EndpointFacts]
    depends_on: frozenset[Topic]
    labels: Labels = field(default_factory=no_labels)
    refusal: Refusal | None = None


def resolve(question: EndpointsQuestion, *, mesh: Mesh, settings: Settings) -> EndpointSet:
    """The endpoints of a service port, or those of one instance. A port that is not declared is that of the
    pods themselves.
    """
    target = question.target
    asked = service = mesh.services.get(target.service)
    topics = {service_topic(target.service)}
    if asked is not None and asked.federated is not None:
        # What other clusters have of it is not known here.
        member = Key(target.service.namespace, asked.federated.member)
        topics.add(service_topic(member))
        service = mesh.services.get(member)
    refusal = _refusal(target, service=asked)
    if service is None or refusal is not None:
        return EndpointSet({}, frozenset(topics), refusal=refusal)
    if service.local and question.zone:
        raise OutdatedError(f"{service.key} is served on each node by its own pods now")
    node = mesh.nodes.get(question.node)
    view = _View(question, service, mesh, settings, node.zone if node else question.zone)
    return replace(view.found(), depends_on=view.topics() | topics)


def _refusal(target: ServiceTarget, *, service: Service | None) -> Refusal | None:
    path = f"{target.fully_qualified_name}:{target.port}"
    if service is None:
        name, namespace = target.service.name, target.service.namespace
        return Refusal("not found", f"Service {name}.{namespace} not found")
    if service.federated is None and service.mirrored is not None:
        if not service.mirrored.service:
            words = f"Remote discovery service missing remote service name {path}"
            return Refusal("failed precondition", words)
        cluster = service.mirrored.cluster
        return Refusal("not found", f"Remote cluster not found: {cluster}")
    return Refusal("invalid", f"Invalid authority: {path}") if service.alias else None


class _Candidate(NamedTuple):
    """An endpoint that is ready, with who serves there, where that is known."""

    endpoint: Endpoint
    serving: Pod | ExternalWorkload | None

    def is_on(self, node: str) -> bool:
        """Whether it is a pod of this node."""
        return isinstance(self.serving, Pod) and bool(node) and self.serving.node == node


class _View(NamedTuple):
    """One question, and everything that its answer is made from."""

    question: EndpointsQuestion
    service: Service
    mesh: Mesh
    settings: Settings
    # Where the client is; empty where nobody knows.
    zone: str

    @property
    def port(self) -> int:
        return self.question.target.port

    def topics(self) -> frozenset[Topic]:
        # Servers speak about their own namespace, which slices do not leave.
        topics = {servers_topic(self.service.namespace)}
        key = EndpointsKey(*self.service.key, self.port)
        topics.add(endpoints_topic(key))
        if self.service.port(self.port) is None:
            topics.add(served_topic(self.service.key))
        if self.question.node:
            topics.add(node_topic(self.question.node))
        return frozenset(topics)

    def found(self) -> EndpointSet:
        served = self.served()
        labels = next((one.labels for one in served), no_labels())
        own = {LABEL_NAMESPACE: self.service.namespace, LABEL_SERVICE: self.service.name}
        found = [end for one in served for end in one.endpoints]
        chosen = _of_one_family(self.near(list(self.candidates(found))), self.settings)
        made = (self.facts(one) for one in chosen)
        return EndpointSet({one.address: one for one in made}, frozenset(), {**labels, **own})

    def served(self) -> list[Endpoints]:
        key = EndpointsKey(*self.service.key, self.port)
        found = self.mesh.endpoints.get(key)
        if found is not None:
            return [found]
        if self.service.port(self.port) is not None:
            return []
        return [_at(one, port=self.port) for one in self.mesh.endpoints_of(self.service.key)]

    def candidates(self, found: Iterable[Endpoint]) -> Iterator[_Candidate]:
        """None for a pod that is named before it is known."""
        instance = self.question.target.instance
        for endpoint in found:
            if not endpoint.ready or instance not in {"", endpoint.hostname}:
                continue
            if endpoint.pod is None and endpoint.external is None:
                yield _Candidate(endpoint, None)
                continue
            serving: Pod | ExternalWorkload | None = None
            if endpoint.pod is not None:
                serving = self.mesh.pods.get(endpoint.pod)
            elif endpoint.external is not None:
                serving = self.mesh.external_workloads.get(endpoint.external)
            if serving is not None:
                yield _Candidate(endpoint, serving)

    def near(self, found: list[_Candidate]) -> list[_Candidate]:
        """Those that a client is meant to use where it is."""
        if self.service.local:
            return [one for one in found if one.is_on(self.question.node)]
        if not all(one.endpoint.for_zones for one in found):
            return found
        return [one for one in found if self.zone in one.endpoint.for_zones] or found

    def facts(self, candidate: _Candidate) -> EndpointFacts:
        found = self.plain_facts(candidate)
        prefers = self.question.prefers_near and prefers_zone(self.service)
        near = prefers and found.labels.get(LABEL_ZONE_LOCALITY) == "local"
        return replace(found, near=True) if near else found

    def plain_facts(self, candidate: _Candidate) -> EndpointFacts:
        """Without the place where the client is."""
        end, serving = candidate
        address = end.ip, end.port
        labels = {LABEL_ZONE_LOCALITY: "unknown"}
        if serving is None:
            if end.gateway is None:
                return EndpointFacts(end.ip, end.port, labels)
            port = self.port
            return facts.of_gateway(end.gateway, address=address, labels=labels, target_port=port)
        labels = {LABEL_ZONE: end.zone, LABEL_ZONE_LOCALITY: self.locality(end)}
        mesh, settings = self.mesh, self.settings
        if isinstance(serving, Pod):
            return facts.of_pod(
                serving, address=address, labels=labels, mesh=mesh, settings=settings
            )
        return facts.of_external(
            serving, address=address, labels=labels, mesh=mesh, settings=settings
        )

    def locality(self, end: Endpoint) -> str:
        if not self.zone or not end.zone:
            return "unknown"
        return "local" if end.zone == self.zone else "remote"


def _at(found: Endpoints, *, port: int) -> Endpoints:
    """All who serve another port, at this one."""
    return replace(found, endpoints=tuple(replace(one, port=port) for one in found.endpoints))


def _of_one_family(found: list[_Candidate], settings: Settings) -> Iterator[_Candidate]:
    """Who has addresses of both families is one endpoint, at the one that is preferred; who has one only is
    reached there.
    """
    preferred = {
        one.serving.key
        for one in found
        if one.serving is not None and _is_ipv6(one) == settings.enable_ipv6
    }
    for one in found:
        if (
            one.serving is None
            or one.serving.key not in preferred
            or _is_ipv6(one) == settings.enable_ipv6
        ):
            yield one


def _is_ipv6(one: _Candidate) -> bool:
    return ":" in one.endpoint.ip
