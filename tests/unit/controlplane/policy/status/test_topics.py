"""Which statuses a change may make different."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import MeshObject
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.routes import Object
from linkerd2_py.controlplane.mesh.status import ParentStatus
from linkerd2_py.controlplane.policy.attachment import ACCEPTED
from linkerd2_py.controlplane.policy.status.routes import topics_of_route
from linkerd2_py.controlplane.policy.status.topics import object_topic, routes_topic, topics_of
from tests.support.outbound_shop import WEB, http_route, service

SERVICE = Object("Service", "shop", "web")
NETWORK = EgressNetwork("shop", "out", allows=True)
SERVER = Server("shop", "http", 80)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, service(), object_topic(SERVICE)),
        (service(), service(ips=()), object_topic(SERVICE)),
        (None, SERVER, object_topic(Object("Server", "shop", "http"))),
        (
            NETWORK,
            replace(NETWORK, networks=()),
            object_topic(Object("EgressNetwork", "shop", "out")),
        ),
        (http_route(), None, routes_topic(SERVICE)),
        # Routes of another kind give way at the very same port only.
        (
            http_route(),
            replace(http_route(), parents=(WEB._replace(port=81),)),
            routes_topic(SERVICE),
        ),
    ],
)
def test_what_statuses_are_made_of(
    before: MeshObject | None, after: MeshObject | None, found: object
) -> None:
    assert topics_of([Change(before, after)]) == {found}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (service(), service(annotations={"a": "b"})),
        (service(), service(ips=("10.96.0.99",))),
        (SERVER, replace(SERVER, port=81)),
        (NETWORK, replace(NETWORK, conditions=(ACCEPTED,))),
        (http_route(), replace(http_route(), statuses=(ParentStatus(WEB, (ACCEPTED,)),))),
    ],
)
def test_what_they_are_not_made_of(before: MeshObject, after: MeshObject) -> None:
    assert topics_of([Change(before, after)]) == frozenset()


def test_a_route_depends_on_its_parents_with_their_routes_and_on_its_backends() -> None:
    assert set(topics_of_route(http_route())) == {
        object_topic(SERVICE),
        routes_topic(SERVICE),
        object_topic(Object("Service", "shop", "v2")),
    }
