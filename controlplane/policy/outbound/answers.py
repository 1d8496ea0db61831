"""Outbound policies as they are now, encoded once for all who see the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import Service
from linkerd2_py.controlplane.mesh.routes import ROUTES, Object
from linkerd2_py.controlplane.mesh.store import Kind, Mesh
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.policy import (
    outside_policy,
    place_policy,
    undefined_port_policy,
)
from linkerd2_py.controlplane.policy.outbound.resolve import (
    Found,
    Outside,
    Place,
    UndefinedPort,
    resolve,
)
from linkerd2_py.controlplane.policy.outbound.targets import (
    Abilities,
    AddressTarget,
    NoSuchServiceError,
    Question,
)
from linkerd2_py.controlplane.policy.outbound.topics import (
    address_topic,
    networks_topic,
    object_topic,
    routes_topic,
)
from linkerd2_py.controlplane.streams.topics import Topic

ANSWERED_FROM: Final[tuple[Kind, ...]] = (Service, EgressNetwork, *ROUTES)
"""The kinds that answers are made from."""
_NOBODY: Final = "No such service"
_MOST_SHARED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Policy:
    """An encoded OutboundPolicy and what it was made from; empty where there is nobody."""

    encoded: bytes
    depends_on: frozenset[Topic]


class Policies:
    """The policies of `mesh`. Clients of all namespaces that see a target alike share one."""

    def __init__(self, mesh: Mesh, *, cluster: Cluster) -> None:
        self._mesh = mesh
        self._cluster = cluster
        self._encoded: dict[tuple[Found, str, Abilities], bytes] = {}

    def changed(self) -> None:
        """Take nothing for granted that was made before."""
        self._encoded.clear()

    def ensure_somebody(self, question: Question) -> None:
        """Raises `NoSuchServiceError` where nobody is now."""
        if resolve(question, mesh=self._mesh, cluster=self._cluster) is None:
            raise NoSuchServiceError(_NOBODY)

    def of(self, question: Question) -> Policy:
        """What holds now."""
        found = resolve(question, mesh=self._mesh, cluster=self._cluster)
        topics = frozenset(self._topics(question, found))
        return Policy(self._shared(found, question) if found else b"", topics)

    def _shared(self, found: Found, question: Question) -> bytes:
        seen_by = found, self._view(found, question.namespace), question.abilities
        encoded = self._encoded.get(seen_by)
        if encoded is None:
            if len(self._encoded) >= _MOST_SHARED:
                self._encoded.clear()
            encoded = self._encoded[seen_by] = self._encode(*seen_by)
        return encoded

    def _view(self, found: Found, namespace: str) -> str:
        """The client's namespace where routes in it make a difference; those of the service's hold for
        all.
        """
        if not isinstance(found, Place) or namespace == found.key.namespace:
            return ""
        routes = self._mesh.routes_of(found.object)
        return namespace if any(route.namespace == namespace for route in routes) else ""

    def _encode(self, found: Found, namespace: str, able: Abilities) -> bytes:
        if isinstance(found, Place):
            policy = place_policy(
                found,
                namespace=namespace,
                able=able,
                mesh=self._mesh,
                cluster=self._cluster,
            )
        elif isinstance(found, Outside):
            policy = outside_policy(found)
        else:
            policy = undefined_port_policy(found)
        return policy.SerializeToString(deterministic=True)

    def _topics(self, question: Question, found: Found | None) -> Iterator[Topic]:
        target = question.target
        if isinstance(target, AddressTarget):
            yield address_topic(str(target.ip))
        if isinstance(found, UndefinedPort):
            yield object_topic(Object("Service", *found.key))
        elif isinstance(found, Place):
            yield object_topic(found.object)
            yield routes_topic(found.object)
            for route in self._mesh.routes_of(found.object):
                yield from map(object_topic, route.leads_to)
        if not isinstance(found, UndefinedPort) and isinstance(target, AddressTarget):
            yield networks_topic(question.namespace)
            yield networks_topic(self._cluster.egress_namespace)


class PolicyAnswer:
    """The policy of a target, for `Watch` and `Get`. Raises `NoSuchServiceError` where there is nobody."""

    def __init__(self, question: Question, *, policies: Policies) -> None:
        self._question = question
        self._policies = policies
        self._policy = policies.of(question)
        if not self._policy.encoded:
            raise NoSuchServiceError(_NOBODY)

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._policy.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        return (self._policy.encoded,)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        before, now = self._policy, self._policies.of(self._question)
        # Of what is there no more, what was said last holds until somebody else is there.
        self._policy = Policy(now.encoded or before.encoded, now.depends_on)
        return () if self._policy.encoded == before.encoded else (self._policy.encoded,)
