"""Answers of destination: snapshots, differences, profiles, and their bounded fan-out."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.destination.answers import EndpointsAnswer
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.questions import EndpointsQuestion, ProfileQuestion
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.targets import ServiceTarget, parse_target
from linkerd2_py.controlplane.mesh import store
from linkerd2_py.controlplane.mesh.objects import (
    Endpoints,
    ExternalWorkload,
    Key,
    Pod,
    PortSpec,
    Service,
)
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.streams.stream import (
    QUEUE_LIMIT,
    StreamOverflowError,
    UpdateStream,
)
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.local_mesh import LocalMesh

WEB = ServiceSpec(
    "default", "web-svc", "web", (PortSpec("http", 80, 8080), PortSpec("raw", 90, 9090, True))
)
POD = Replica(
    "default", "web-0", "web", "127.0.1.1", {8080: 41001, 9090: 9090}, ready=True, status="Running"
)
SECOND = replace(POD, name="web-1", ip="127.0.1.2")
# With a proxy that has an identity.
SECURED = replace(
    POD,
    service_account="front",
    identity="front.default.serviceaccount.identity.linkerd.cluster.local",
    inbound_port=4143,
)
HTTP = EndpointsQuestion(ServiceTarget(WEB.key, 80))
RAW = EndpointsQuestion(ServiceTarget(WEB.key, 90))


class Mesh:
    def __init__(self) -> None:
        self.local_mesh = LocalMesh()
        self.metrics = CollectorRegistry()
        self.destination = Destination(self.local_mesh.store, metrics=self.metrics)
        self.local_mesh.apply(services=[WEB], pods=[POD])

    async def get(self, target: EndpointsQuestion = HTTP) -> "Reader":
        return Reader(await self.destination.endpoints.subscribe(target), self.destination)

    async def first(self, target: EndpointsQuestion = HTTP) -> list[messages.Update]:
        return await (await self.get(target)).now()


class Reader:
    """Reads what there is after all changes so far."""

    def __init__(self, stream: UpdateStream, destination: Destination) -> None:
        self.stream = stream
        self._destination = destination

    async def now(self) -> list[messages.Update]:
        await self._destination.endpoints.settled()
        queued = [messages.Update.FromString(message) for message in self.stream._queue]
        self.stream._queue.clear()
        return queued


def ports(update: messages.Update) -> list[int]:
    return [address.addr.port for address in update.add.addrs]


async def test_first_message_is_the_whole_set_with_labels() -> None:
    (update,) = await Mesh().first()
    assert dict(update.add.metric_labels) == {"namespace": "default", "service": "web-svc"}
    (address,) = update.add.addrs
    assert address.addr.ip.ipv4 == 0x7F000101
    assert address.addr.port == 41001
    assert address.weight == 10_000
    assert dict(address.metric_labels) == {
        "pod": "web-0",
        "deployment": "web",
        "serviceaccount": "default",
        "control_plane_ns": "linkerd",
        "zone": "",
        "zone_locality": "unknown",
    }
    assert address.protocol_hint.HasField("h2")
    assert address.http2.keep_alive.interval.seconds == 10
    assert not address.HasField("tls_identity")
    assert not address.HasField("resource_ref")


async def test_opaque_ports_and_unmeshed_pods_are_not_upgraded() -> None:
    mesh = Mesh()
    (update,) = await mesh.first(RAW)
    assert update.add.addrs[0].protocol_hint.WhichOneof("protocol") == "opaque"
    mesh.local_mesh.put(replace(POD, meshed=False))
    (update,) = await mesh.first()
    assert not update.add.addrs[0].HasField("protocol_hint")
    assert "control_plane_ns" not in update.add.addrs[0].metric_labels


async def test_endpoint_has_the_identity_of_its_pod_as_name_and_as_sni() -> None:
    mesh = Mesh()
    mesh.local_mesh.put(SECURED)
    (update,) = await mesh.first()
    (address,) = update.add.addrs
    assert address.tls_identity.WhichOneof("strategy") == "dns_like_identity"
    assert address.tls_identity.dns_like_identity.name == SECURED.identity
    assert address.tls_identity.server_name.name == SECURED.identity
    assert address.metric_labels["serviceaccount"] == "front"
    assert address.addr.port == 41001
    assert address.protocol_hint.WhichOneof("protocol") == "h2"
    assert not address.protocol_hint.HasField("opaque_transport")


async def test_opaque_endpoint_is_reached_through_the_inbound_port() -> None:
    mesh = Mesh()
    mesh.local_mesh.put(SECURED)
    (update,) = await mesh.first(RAW)
    (address,) = update.add.addrs
    assert address.addr.port == 9090
    assert address.tls_identity.dns_like_identity.name == SECURED.identity
    assert address.protocol_hint.WhichOneof("protocol") == "opaque"
    assert address.protocol_hint.opaque_transport.inbound_port == 4143
    mesh.local_mesh.put(POD)
    (update,) = await mesh.first(RAW)
    assert not update.add.addrs[0].protocol_hint.HasField("opaque_transport")


@pytest.mark.parametrize(
    "pod",
    [
        replace(SECURED, meshed=False),
        replace(SECURED, intercepted=True, skipped_ports=frozenset({41001, 9090})),
    ],
)
@pytest.mark.parametrize("target", [HTTP, RAW])
async def test_where_the_program_itself_answers_there_is_no_identity(
    pod: Replica, target: EndpointsQuestion
) -> None:
    mesh = Mesh()
    mesh.local_mesh.put(pod)
    (update,) = await mesh.first(target)
    (address,) = update.add.addrs
    assert not address.HasField("tls_identity")
    assert not address.HasField("protocol_hint")


async def test_address_that_another_identity_takes_over_is_told_with_it() -> None:
    mesh = Mesh()
    mesh.local_mesh.put(SECURED)
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.put(replace(SECURED, identity="other"))
    (update,) = await reader.now()
    (address,) = update.add.addrs
    assert (address.addr.port, address.tls_identity.server_name.name) == (41001, "other")


@pytest.mark.parametrize("target", [HTTP, EndpointsQuestion(ServiceTarget(WEB.key, 80, "web-7"))])
async def test_of_a_service_that_nobody_serves_nothing_is_said_until_somebody_does(
    target: EndpointsQuestion,
) -> None:
    mesh = Mesh()
    mesh.local_mesh.apply(pods=[])
    reader = await mesh.get(target)
    assert await reader.now() == []
    mesh.local_mesh.put(replace(POD, name="web-7"))
    (update,) = await reader.now()
    assert ports(update) == [41001]


async def test_who_asks_for_a_service_that_does_not_exist_is_refused() -> None:
    mesh = Mesh()
    none = EndpointsQuestion(ServiceTarget(Key("default", "none"), 80))
    for ask in (mesh.destination.endpoints.subscribe, mesh.destination.endpoints.snapshot):
        with pytest.raises(RefusedError, match=r"^Service none\.default not found$") as refused:
            await ask(none)
        assert refused.value.reason == "not found"
    assert mesh.destination.endpoints.questions == 0


async def test_a_port_that_nobody_serves_is_that_of_all_pods() -> None:
    (update,) = await Mesh().first(EndpointsQuestion(ServiceTarget(WEB.key, 8081)))
    assert ports(update) == [8081]
    assert not update.add.addrs[0].HasField("protocol_hint")


async def test_undeclared_port_is_used_as_the_pods_own_number() -> None:
    (update,) = await Mesh().first(EndpointsQuestion(ServiceTarget(WEB.key, 8080)))
    assert ports(update) == [41001]


async def test_instance_is_one_pod() -> None:
    mesh = Mesh()
    mesh.local_mesh.put(SECOND)
    (update,) = await mesh.first(EndpointsQuestion(ServiceTarget(WEB.key, 80, "web-1")))
    assert [address.metric_labels["pod"] for address in update.add.addrs] == ["web-1"]


async def test_ipv6_addresses_are_two_halves() -> None:
    mesh = Mesh()
    mesh.local_mesh.apply(pods=[replace(POD, ip="2001:db8::1")])
    (update,) = await mesh.first()
    assert update.add.addrs[0].addr.ip.ipv6.first == 0x20010DB800000000
    assert update.add.addrs[0].addr.ip.ipv6.last == 1


async def test_exchange_of_pods_adds_before_it_removes() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.apply(pods=[SECOND])
    add, remove = await reader.now()
    assert add.add.addrs[0].addr.ip.ipv4 == 0x7F000102
    assert [address.ip.ipv4 for address in remove.remove.addrs] == [0x7F000101]


async def test_changed_labels_replace_an_endpoint_without_removing_it() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.put(replace(POD, meshed=False))
    (update,) = await reader.now()
    assert ports(update) == [41001]


async def test_emptied_and_refilled_set() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.put(replace(POD, ready=False))
    (empty,) = await reader.now()
    assert [address.port for address in empty.remove.addrs] == [41001]
    mesh.local_mesh.put(POD)
    (filled,) = await reader.now()
    assert ports(filled) == [41001]


async def test_deleted_and_created_service() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.remove(WEB)
    (gone,) = await reader.now()
    assert [address.port for address in gone.remove.addrs] == [41001]
    # The stream goes on; who asks anew is told.
    with pytest.raises(RefusedError):
        await mesh.get()
    mesh.local_mesh.put(WEB)
    (back,) = await reader.now()
    assert ports(back) == [41001]


async def test_service_that_moves_to_another_workload_follows_its_pods() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    other = replace(POD, name="new-0", workload="new", ip="127.0.1.9")
    mesh.local_mesh.put(replace(WEB, workload="new"))
    await reader.now()
    mesh.local_mesh.put(other)
    (update,) = await reader.now()
    assert update.add.addrs[0].metric_labels["deployment"] == "new"


async def test_changes_elsewhere_and_invisible_ones_say_nothing() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    await reader.now()
    mesh.local_mesh.put(replace(POD, restarts=3))
    mesh.local_mesh.put(replace(POD, name="db-0", workload="db", ip="127.0.1.8"))
    mesh.local_mesh.put(replace(WEB, name="other-svc"))
    assert await reader.now() == []


async def test_subscribers_share_the_same_bytes() -> None:
    mesh = Mesh()
    first, second = await mesh.get(), await mesh.get()
    assert first.stream._queue[0] is second.stream._queue[0]
    mesh.local_mesh.put(SECOND)
    await mesh.destination.endpoints.settled()
    assert first.stream._queue[-1] is second.stream._queue[-1]
    assert mesh.destination.endpoints.questions == 1


async def test_late_subscriber_begins_with_what_holds_now() -> None:
    mesh = Mesh()
    await mesh.get()
    mesh.local_mesh.put(SECOND)
    await mesh.destination.endpoints.settled()
    (update,) = await mesh.first()
    assert len(update.add.addrs) == 2
    assert await mesh.destination.endpoints.snapshot(HTTP) == (
        update.SerializeToString(deterministic=True),
    )


async def test_last_unsubscribe_forgets_the_target() -> None:
    mesh = Mesh()
    watches = mesh.destination.endpoints
    first, second = await mesh.get(), await mesh.get()
    watches.unsubscribe(HTTP, stream=first.stream)
    assert (watches.questions, watches.streams) == (1, 1)
    watches.unsubscribe(HTTP, stream=second.stream)
    watches.unsubscribe(HTTP, stream=second.stream)
    assert (watches.questions, watches.streams) == (0, 0)


async def test_slow_subscriber_is_ended_and_counted_alone() -> None:
    mesh = Mesh()
    slow, quick = await mesh.get(), await mesh.get()
    for restart in range(QUEUE_LIMIT):
        mesh.local_mesh.put(replace(POD, meshed=restart % 2 == 1))
        assert len(await quick.now()) >= 1
    assert slow.stream.overflowed
    assert not quick.stream.overflowed
    assert mesh.metrics.get_sample_value("endpoint_updates_queue_overflow_total") == 1
    assert mesh.metrics.get_sample_value("endpoint_subscribers") == 1
    with pytest.raises(StreamOverflowError):
        await anext(slow.stream.__aiter__())


async def test_an_answer_that_fails_ends_its_own_streams_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mesh = Mesh()
    broken, well = [await mesh.destination.endpoints.subscribe(one) for one in (HTTP, RAW)]
    refresh = EndpointsAnswer.refresh

    def fail(answer: EndpointsAnswer, now: store.Mesh) -> tuple[bytes, ...]:
        if answer._question == HTTP:
            raise OverflowError("unforeseen")
        return refresh(answer, now)

    monkeypatch.setattr(EndpointsAnswer, "refresh", fail)
    mesh.local_mesh.put(SECOND)
    assert len([message async for message in broken]) == 1
    assert len(well._queue) == 2
    # Whoever asks again begins with what holds now.
    (whole,) = await mesh.first(HTTP)
    assert len(whole.add.addrs) == 2
    mesh.destination.endpoints.unsubscribe(HTTP, stream=broken)
    assert mesh.destination.endpoints.streams == 2


async def test_closed_stream_ends_after_what_is_queued() -> None:
    mesh = Mesh()
    reader = await mesh.get()
    mesh.destination.close()
    mesh.local_mesh.put(SECOND)
    assert len([message async for message in reader.stream]) == 1


async def profile_of(mesh: Mesh, path: str) -> messages.DestinationProfile:
    (encoded,) = await mesh.destination.profiles.snapshot(ProfileQuestion(parse_target(path)))
    return messages.DestinationProfile.FromString(encoded)


async def test_profile_of_a_service_has_its_name_and_protocol() -> None:
    profile = await profile_of(Mesh(), "web-svc.default.svc.cluster.local:80")
    assert profile.fully_qualified_name == "web-svc.default.svc.cluster.local"
    assert not profile.opaque_protocol
    assert profile.parent_ref.resource.kind == "Service"
    assert profile.retry_budget.ttl.seconds == 10
    assert (await profile_of(Mesh(), "web-svc.default.svc.cluster.local:90")).opaque_protocol


async def test_profile_of_an_unknown_service_is_refused() -> None:
    with pytest.raises(RefusedError, match=r'^service "none" not found$') as refused:
        await profile_of(Mesh(), "none.default.svc.cluster.local:80")
    assert refused.value.reason == "unknown"


async def test_profile_of_a_service_that_goes_holds_for_who_has_it() -> None:
    mesh = Mesh()
    question = ProfileQuestion(HTTP.target)
    stream = await mesh.destination.profiles.subscribe(question)
    mesh.local_mesh.remove(WEB)
    await mesh.destination.profiles.settled()
    assert len(stream._queue) == 1
    with pytest.raises(RefusedError):
        await mesh.destination.profiles.subscribe(question)


async def test_profile_of_an_undeclared_port_is_empty() -> None:
    path = "web-svc.default.svc.cluster.local:1234"
    assert await profile_of(Mesh(), path) == messages.DestinationProfile()


@pytest.mark.parametrize("port", [8080, 41001])
async def test_profile_of_a_pods_address_is_its_endpoint(port: int) -> None:
    profile = await profile_of(Mesh(), f"127.0.1.1:{port}")
    assert profile.endpoint.addr.port == 41001
    assert profile.endpoint.metric_labels["pod"] == "web-0"
    assert profile.endpoint.metric_labels["namespace"] == "default"
    assert profile.fully_qualified_name == ""
    assert not profile.opaque_protocol


async def test_profile_of_a_pods_opaque_or_unknown_port() -> None:
    assert (await profile_of(Mesh(), "127.0.1.1:9090")).opaque_protocol
    unknown = await profile_of(Mesh(), "127.0.1.1:1234")
    assert unknown.endpoint.addr.port == 1234


@pytest.mark.parametrize("port", [80, 3306])
async def test_profile_of_an_address_outside_is_the_address(port: int) -> None:
    profile = await profile_of(Mesh(), f"192.0.2.1:{port}")
    assert (profile.endpoint.addr.port, dict(profile.endpoint.metric_labels)) == (port, {})
    assert profile.fully_qualified_name == ""
    # Servers of this protocol speak first.
    assert profile.opaque_protocol is (port == 3306)


async def test_profile_streams_say_when_a_port_becomes_opaque_and_nothing_else() -> None:
    mesh = Mesh()
    by_name = await mesh.destination.profiles.subscribe(ProfileQuestion(HTTP.target))
    by_address = await mesh.destination.profiles.subscribe(
        ProfileQuestion(parse_target("127.0.1.1:8080"))
    )
    mesh.local_mesh.put(replace(WEB, ports=(PortSpec("http", 80, 8080, opaque=True),)))
    mesh.local_mesh.put(SECOND)
    await mesh.destination.profiles.settled()
    for stream in (by_name, by_address):
        before, after = (messages.DestinationProfile.FromString(m) for m in stream._queue)
        assert (before.opaque_protocol, after.opaque_protocol) == (False, True)


async def test_nobody_is_answered_before_everything_is_listed() -> None:
    unlisted = store.MeshStore()
    destination = Destination(unlisted, metrics=CollectorRegistry())
    unlisted.put(Service("default", "web-svc", ()))
    asks = (destination.endpoints.subscribe, destination.endpoints.snapshot)
    asking = [spawn(ask(HTTP), name="ask") for ask in asks]
    unlisted.replace({Service: [Service("default", "web-svc", ())], Endpoints: []})
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in asking)
    assert (destination.is_synced, destination.endpoints.questions) == (False, 0)
    unlisted.replace({Pod: [], Server: [], ServiceProfile: []})
    assert not destination.is_synced
    unlisted.replace({ExternalWorkload: []})
    assert destination.is_synced
    assert await asyncio.wait_for(destination.endpoints.snapshot(HTTP), 10) == ()
    await asyncio.wait_for(asyncio.gather(*asking), 10)
    assert destination.endpoints.streams == 1
