"""What a service or an egress network says for all of its routes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from linkerd2_py.controlplane.mesh.routes import Backend, Route
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound import annotated
from linkerd2_py.controlplane.policy.outbound.annotated import (
    Accrual,
    AnnotationError,
    Penalty,
    Retry,
    Timeouts,
)
from linkerd2_py.controlplane.policy.outbound.backends import (
    Destination,
    default_backend,
    destinations,
)
from linkerd2_py.controlplane.policy.outbound.resolve import Place
from linkerd2_py.controlplane.policy.outbound.targets import Abilities
from linkerd2_py.proto.gen import outbound_pb2 as outbound

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """`default` is where goes what no route sends elsewhere; timeouts and retries are those of routes that
    say none. `able`: what the proxies of those who ask do.
    """

    place: Place
    mesh: Mesh
    cluster: Cluster
    default: outbound.Backend
    timeouts: Timeouts
    http_retry: Retry | None
    grpc_retry: Retry | None
    accrual: Accrual | None
    penalty: Penalty | None
    able: Abilities

    def destinations(self, backends: Iterable[Backend]) -> list[Destination]:
        """Where the backends of a rule lead."""
        return destinations(backends, place=self.place, mesh=self.mesh, penalty=self.penalty)

    def accrual_of(self, route: Route) -> Accrual | None:
        """The breakers that a route has to itself. Linkerd has none of those, so that what cannot be read
        does not take the route away.
        """
        if not self.able.breaks_routes or self.place.is_egress:
            return None
        try:
            return annotated.accrual(route.annotations)
        except AnnotationError as error:
            logger.warning("%s %s/%s has no breakers: %s", route.kind, *route.key[2:], error)
            return None


def terms_of(place: Place, *, mesh: Mesh, cluster: Cluster, able: Abilities) -> Terms:
    """What it says that makes no sense counts as not said."""
    # Nothing outside is balanced, so that nothing could be counted there.
    penalty = None if place.is_egress else _said(place, annotated.penalty)
    return Terms(
        place=place,
        mesh=mesh,
        cluster=cluster,
        default=default_backend(place, penalty=penalty),
        timeouts=_said(place, annotated.timeouts) or Timeouts(),
        http_retry=_said(place, annotated.http_retry),
        grpc_retry=_said(place, annotated.grpc_retry),
        accrual=_said(place, annotated.accrual),
        penalty=penalty,
        able=able,
    )


def _said(place: Place, read: Callable[[Mapping[str, str]], T | None]) -> T | None:
    try:
        return read(place.annotations)
    except AnnotationError as error:
        logger.warning("%s %s/%s: %s", place.kind, *place.key, error)
        return None
