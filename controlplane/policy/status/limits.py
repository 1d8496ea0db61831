"""The status of a rate limit: whether it is the one that holds for its Server."""

from __future__ import annotations

from collections.abc import Iterator

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.policy import HTTPLocalRateLimitPolicy
from linkerd2_py.controlplane.mesh.routes import POLICY, Object
from linkerd2_py.controlplane.mesh.status import Condition
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.attachment import ACCEPTED
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.conditions import beside_others
from linkerd2_py.controlplane.policy.status.topics import limits_topic, object_topic
from linkerd2_py.controlplane.streams.topics import Topic

_NO_SERVER = Condition("Accepted", holds=False, reason="NoMatchingTarget")
_ANOTHER_HOLDS = Condition("Accepted", holds=False, reason="RateLimitReasonAlreadyExists")


def said_of_limit(limit: HTTPLocalRateLimitPolicy) -> tuple[Condition, ...]:
    """What its status says now, as far as that is ours."""
    return tuple(one for one in limit.conditions if one.type == "Accepted")


def wanted_of_limit(
    limit: HTTPLocalRateLimitPolicy, *, mesh: Mesh, cluster: Cluster
) -> tuple[Condition, ...]:
    """What it should say; of what is no Server that is not ours to say."""
    del cluster
    if not limit.server:
        return said_of_limit(limit)
    if limit.server_key not in mesh.servers:
        return (_NO_SERVER,)
    holds = min(mesh.rate_limits_of(limit.server_key), key=lambda one: (one.created, one.name))
    return (ACCEPTED if holds.key == limit.key else _ANOTHER_HOLDS,)


def status_of_limit(
    limit: HTTPLocalRateLimitPolicy, found: Json, *, mesh: Mesh, cluster: Cluster, now: str
) -> Json | None:
    """The status of the object `found` with our condition among those of others; None where it says that."""
    wanted = wanted_of_limit(limit, mesh=mesh, cluster=cluster)
    conditions = beside_others(found, wanted, now=now)
    if conditions is None:
        return None
    target = {"group": POLICY, "kind": "Server", "name": limit.server}
    return {"conditions": conditions, "targetRef": target}


def topics_of_limit(limit: HTTPLocalRateLimitPolicy) -> Iterator[Topic]:
    """Its Server, and who else limits that."""
    yield object_topic(Object("Server", *limit.server_key))
    yield limits_topic(limit.server_key)
