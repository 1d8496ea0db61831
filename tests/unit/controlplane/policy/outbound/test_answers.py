"""Answers about outbound traffic on open streams: what changes them, and who shares them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import Key, Service
from linkerd2_py.controlplane.mesh.routes import HTTPRoute
from linkerd2_py.controlplane.mesh.status import ParentStatus
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.attachment import ACCEPTED
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.answers import Policies
from linkerd2_py.controlplane.policy.outbound.outbound import OutboundPolicies
from linkerd2_py.controlplane.policy.outbound.targets import NoSuchServiceError, Question
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.outbound_shop import WEB, at, http_route, named, service


class Asked:
    """The component over a mesh that is listed, and streams of it."""

    def __init__(self) -> None:
        self.store = MeshStore()
        self.store.replace(dict.fromkeys(self.store.mesh.unsynced, ()))
        self.metrics = CollectorRegistry()
        self.policies = OutboundPolicies(self.store, cluster=Cluster(), metrics=self.metrics)
        self.store.put(service())

    async def watch(self, question: Question | None = None) -> UpdateStream:
        return await self.policies.subscribe(question or at())

    async def told(self, stream: UpdateStream) -> list[outbound.OutboundPolicy]:
        """What came since it was asked last."""
        await self.policies.watches.settled()
        found = [outbound.OutboundPolicy.FromString(one) for one in stream._queue]
        stream._queue.clear()
        return found


def names(found: outbound.OutboundPolicy) -> list[str]:
    return [route.metadata.resource.name for route in found.protocol.detect.http1.routes]


async def test_a_stream_is_told_of_routes_that_come_change_and_go() -> None:
    asked = Asked()
    stream = await asked.watch()
    (first,) = await asked.told(stream)
    assert names(first) == [""]
    asked.store.put(http_route())
    assert [names(one) for one in await asked.told(stream)] == [["route"]]
    asked.store.put(replace(http_route(), hostnames=("web.example.com",)))
    assert len(await asked.told(stream)) == 1
    asked.store.put(replace(http_route(), parents=(WEB._replace(name="other"),)))
    assert [names(one) for one in await asked.told(stream)] == [[""]]
    asked.store.put(http_route())
    asked.store.remove(HTTPRoute, key=http_route().key)
    assert await asked.told(stream) == []


async def test_a_stream_is_told_when_a_backend_comes_or_goes() -> None:
    asked = Asked()
    asked.store.put(http_route())
    stream = await asked.watch()

    def problem(found: outbound.OutboundPolicy) -> str:
        (rule,) = found.protocol.detect.http1.routes[0].rules
        (only,) = rule.backends.random_available.backends
        return only.backend.filters[0].failure_injector.message if only.backend.filters else ""

    (first,) = await asked.told(stream)
    assert problem(first) == "Service not found v2"
    v2 = service("v2", ips=())
    asked.store.put(v2)
    assert [problem(one) for one in await asked.told(stream)] == [""]
    asked.store.remove(Service, key=v2.key)
    assert [problem(one) for one in await asked.told(stream)] == ["Service not found v2"]


async def test_what_cannot_touch_an_answer_makes_no_message() -> None:
    asked = Asked()
    asked.store.put(http_route())
    stream = await asked.watch()
    await asked.told(stream)
    asked.store.put(service("other", ips=("10.96.0.12",)))
    asked.store.put(replace(http_route("r"), parents=(WEB._replace(name="other"),)))
    said = (ParentStatus(WEB, (ACCEPTED,)),)
    asked.store.put(replace(http_route(), statuses=said))
    asked.store.put(EgressNetwork("client", "out", allows=True))
    assert await asked.told(stream) == []


async def test_an_address_follows_who_has_it() -> None:
    asked = Asked()
    stream = await asked.watch(at("10.96.0.10"))
    await asked.told(stream)
    asked.store.put(service(ips=()), service("heir"))
    (now,) = await asked.told(stream)
    assert now.metadata.resource.name == "heir"
    asked.store.remove(Service, key=Key("shop", "heir"))
    # Nobody has it any more: what was said last is left, and who comes now is told so.
    assert await asked.told(stream) == []
    with pytest.raises(NoSuchServiceError, match="No such service"):
        await asked.watch(at("10.96.0.10"))
    with pytest.raises(NoSuchServiceError, match="No such service"):
        await asked.policies.now(at("10.96.0.10"))


async def test_an_address_outside_follows_the_networks_of_its_client() -> None:
    asked = Asked()
    stream = await asked.watch(at("8.8.8.8"))
    await asked.told(stream)
    asked.store.put(EgressNetwork("linkerd-egress", "all", allows=True))
    (now,) = await asked.told(stream)
    assert now.metadata.resource.name == "all"
    asked.store.put(EgressNetwork("client", "own", allows=False))
    (now,) = await asked.told(stream)
    assert now.metadata.resource.name == "own"
    asked.store.remove(EgressNetwork, key=Key("client", "own"))
    (now,) = await asked.told(stream)
    assert now.metadata.resource.name == "all"


async def test_a_port_that_is_declared_later_is_served() -> None:
    asked = Asked()
    stream = await asked.watch(at(port=81))
    (first,) = await asked.told(stream)
    assert first.protocol.WhichOneof("kind") == "opaque"
    (spec,) = service().ports
    asked.store.put(replace(service(), ports=(spec, replace(spec, port=81))))
    (now,) = await asked.told(stream)
    assert now.protocol.WhichOneof("kind") == "detect"


async def test_clients_that_see_the_same_share_what_is_encoded() -> None:
    asked = Asked()
    policies = Policies(asked.store.mesh, cluster=Cluster())
    one, two, by_name = at(of="a"), at(of="b"), named("web", of="c")
    assert policies.of(one).encoded is policies.of(two).encoded is policies.of(by_name).encoded
    asked.store.put(http_route())
    policies.changed()
    assert policies.of(one).encoded is policies.of(at(of="shop")).encoded
    asked.store.put(http_route(namespace="b"))
    policies.changed()
    assert policies.of(one).encoded != policies.of(two).encoded


async def test_streams_wait_until_everything_has_been_listed() -> None:
    store = MeshStore()
    policies = OutboundPolicies(store, cluster=Cluster(), metrics=CollectorRegistry())
    asking = spawn(policies.subscribe(named("web")), name="asking")
    await asyncio.sleep(0)
    assert not asking.done()
    store.replace(dict.fromkeys(store.mesh.unsynced, ()))
    await asyncio.wait_for(asking, 10)


async def test_streams_are_counted_and_end_with_the_component() -> None:
    asked = Asked()
    stream = await asked.watch()
    assert asked.metrics.get_sample_value("outbound_policy_subscribers") == 1
    asked.policies.close()
    asked.policies.close()
    assert len([message async for message in stream]) == 1
