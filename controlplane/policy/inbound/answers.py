"""The answers to what proxies ask about their ports, kept between two changes."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.mesh.objects import ExternalWorkload, Namespace, Pod
from linkerd2_py.controlplane.mesh.policy import (
    AuthorizationPolicy,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Server,
    ServerAuthorization,
)
from linkerd2_py.controlplane.mesh.routes import GRPCRoute, HTTPRoute
from linkerd2_py.controlplane.mesh.store import Kind, Mesh
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.policy.inbound.policy import port_policy
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.refusals import RefusedError
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.streams.topics import Topic

ANSWERED_FROM: Final[tuple[Kind, ...]] = (
    Namespace,
    Pod,
    ExternalWorkload,
    Server,
    ServerAuthorization,
    AuthorizationPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    JWTAuthentication,
    ExternalAuthorization,
    HTTPRoute,
    GRPCRoute,
    HTTPLocalRateLimitPolicy,
)
"""The kinds that answers are made from: before all of them are listed, an answer could let in too many."""


class PortAnswer:
    """What holds for a port. To a workload that is no more, what was said last holds."""

    def __init__(self, question: PortQuestion, *, mesh: Mesh, settings: Settings) -> None:
        self._question = question
        self._settings = settings
        self._policy = port_policy(question, mesh=mesh, settings=settings)
        self._said = self._policy.encoded
        if self._said is None:
            raise _unknown()

    @property
    def depends_on(self) -> frozenset[Topic]:
        return self._policy.depends_on

    def snapshot(self) -> tuple[bytes, ...]:
        if self._policy.encoded is None:
            raise _unknown()
        return (self._policy.encoded,)

    def refresh(self, mesh: Mesh) -> tuple[bytes, ...]:
        self._policy = port_policy(self._question, mesh=mesh, settings=self._settings)
        encoded = self._policy.encoded
        if encoded is None or encoded == self._said:
            return ()
        self._said = encoded
        return (encoded,)


def _unknown() -> RefusedError:
    return RefusedError("not found", "unknown server")
