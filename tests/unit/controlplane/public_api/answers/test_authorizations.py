"""Which objects are listed as letting anybody call a resource: those that proxies are told of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from linkerd2_py.controlplane.mesh.inbound import InboundSettings, NamedPort
from linkerd2_py.controlplane.mesh.objects import MeshObject, Owner, Pod
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthorizationPolicy,
    Clients,
    Identities,
    MeshTLSAuthentication,
    Server,
    ServerAuthorization,
    Target,
)
from linkerd2_py.controlplane.mesh.routes import POLICY, HTTPRoute
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.public_api.answers.authorizations import OfResource, authorizations
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import Kind

PASSED = (Authentication("MeshTLSAuthentication", "shop", "all"),)
OBJECTS: Sequence[MeshObject] = (
    Pod(
        "shop",
        "web-0",
        meshed=True,
        labels={"app": "web"},
        owner=Owner("deployment", "web"),
        inbound=InboundSettings(names=(NamedPort("admin", 9000),)),
    ),
    Pod("shop", "db-0", meshed=True, labels={"app": "db"}, owner=Owner("statefulset", "db")),
    Pod("shop", "old-0", labels={"app": "web"}, owner=Owner("deployment", "old")),
    Server("shop", "web-http", 8080, pods=Selector({"app": "web"})),
    Server("shop", "web-admin", "admin", pods=Selector({"app": "web"})),
    # A younger one of the same port holds nowhere.
    Server("shop", "web-late", 8080, pods=Selector({"app": "web"}), created=9.0),
    Server("shop", "db", 5432, pods=Selector({"app": "db"}), access_policy="all-authenticated"),
    MeshTLSAuthentication("shop", "all", Identities(names=("*",))),
    AuthorizationPolicy("shop", "callers", Target("Server", "web-http"), PASSED),
    AuthorizationPolicy("shop", "late", Target("Server", "web-late"), PASSED),
    AuthorizationPolicy("shop", "readers", Target("HTTPRoute", "read", POLICY), PASSED),
    AuthorizationPolicy("shop", "unclear", Target("Server", "web-http"), None),
    ServerAuthorization("shop", "admins", server="web-admin", clients=Clients()),
    HTTPRoute(
        group=POLICY,
        namespace="shop",
        name="read",
        parents=(Parent(POLICY, "Server", "shop", "web-http"),),
    ),
)
WEB = [
    ("", "web-admin", "", "admins"),
    ("", "web-http", "callers", ""),
    ("read", "web-http", "readers", ""),
]


async def listed(kind: Kind, name: str = "", namespace: str = "shop") -> tuple[int, list[object]]:
    store = MeshStore()
    store.put(*OBJECTS)
    answer = await authorizations(store.mesh, cluster=Cluster()).run(
        OfResource(kind, namespace, name)
    )
    return answer["pods"], [tuple(row.values()) for row in answer["authorizations"]]


@pytest.mark.parametrize(
    ("kind", "name", "pods", "expected"),
    [
        (Kind.DEPLOYMENT, "web", 1, WEB),
        (Kind.POD, "web-0", 1, WEB),
        (Kind.POD, "", 3, WEB),
        (Kind.DEPLOYMENT, "old", 1, []),
        (Kind.STATEFULSET, "db", 1, []),
        (Kind.STATEFULSET, "web", 0, []),
    ],
)
async def test_what_holds_is_listed(
    kind: Kind, name: str, pods: int, expected: list[object]
) -> None:
    assert await listed(kind, name) == (pods, expected)


async def test_another_namespace_has_none() -> None:
    assert await listed(Kind.POD, namespace="other") == (0, [])


async def test_nobody_calls_what_has_no_pods() -> None:
    with pytest.raises(InvalidQueryError, match="nobody calls a service: use po, or what owns"):
        await listed(Kind.SERVICE, "web")
