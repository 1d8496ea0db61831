"""Which outbound policies a change may touch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import MeshObject, Pod
from linkerd2_py.controlplane.mesh.routes import Object
from linkerd2_py.controlplane.mesh.status import ParentStatus
from linkerd2_py.controlplane.policy.attachment import ACCEPTED
from linkerd2_py.controlplane.policy.outbound.topics import (
    address_topic,
    networks_topic,
    object_topic,
    routes_topic,
    topics_of,
)
from linkerd2_py.controlplane.streams.topics import Topic
from tests.support.outbound_shop import IP, WEB, http_route, service

NETWORK = EgressNetwork("client", "out", allows=True)
OTHER = WEB._replace(name="other")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (
            service(),
            service(ips=("10.96.0.99",)),
            {
                object_topic(Object("Service", "shop", "web")),
                address_topic(IP),
                address_topic("10.96.0.99"),
            },
        ),
        (
            NETWORK,
            None,
            {object_topic(Object("EgressNetwork", "client", "out")), networks_topic("client")},
        ),
        (
            http_route(),
            replace(http_route(), parents=(OTHER,)),
            {
                routes_topic(Object("Service", "shop", "web")),
                routes_topic(Object("Service", "shop", "other")),
            },
        ),
    ],
)
def test_where_things_were_and_where_they_are(
    before: MeshObject, after: MeshObject | None, found: set[Topic]
) -> None:
    assert topics_of([Change(before, after)]) == found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (http_route(), replace(http_route(), statuses=(ParentStatus(WEB, (ACCEPTED,)),))),
        (NETWORK, replace(NETWORK, conditions=(ACCEPTED,))),
        (None, Pod("shop", "web-0")),
    ],
)
def test_what_touches_none(before: MeshObject | None, after: MeshObject) -> None:
    assert topics_of([Change(before, after)]) == frozenset()
