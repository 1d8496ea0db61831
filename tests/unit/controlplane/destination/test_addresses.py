"""Profiles of addresses: those of services, of pods (either family), of nobody, who must answer there, and
when they change.
"""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.questions import EndpointsQuestion, ProfileQuestion
from linkerd2_py.controlplane.destination.targets import ServiceTarget, parse_target
from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.local_mesh import LocalMesh

WEB = ServiceSpec(
    "default",
    "web-svc",
    "web",
    (PortSpec("http", 80, 8080), PortSpec("raw", 90, 9090, opaque=True)),
    ips=("10.9.128.16", "fd00:0:0:1::10"),
)
POD = Replica(
    "default",
    "web-0",
    "web",
    "10.9.0.16",
    {8080: 8080, 9090: 9090},
    ready=True,
    status="Running",
    ip6="fd00::10",
    intercepted=True,
    skipped_ports=frozenset({4191}),
    service_account="front",
    identity="front.default.serviceaccount.identity.linkerd.cluster.local",
    inbound_port=4143,
)
WEB_NAME = "web-svc.default.svc.cluster.local"
V4, V6 = "10.9.128.16", "[fd00:0:0:1::10]"


class Mesh:
    def __init__(self, pod: Replica = POD) -> None:
        self.local_mesh = LocalMesh()
        self.destination = Destination(self.local_mesh.store, metrics=CollectorRegistry())
        self.local_mesh.apply(services=[WEB], pods=[pod])

    async def profile(self, path: str) -> messages.DestinationProfile:
        (encoded,) = await self.destination.profiles.snapshot(ProfileQuestion(parse_target(path)))
        return messages.DestinationProfile.FromString(encoded)

    async def watch(self, path: str) -> UpdateStream:
        return await self.destination.profiles.subscribe(ProfileQuestion(parse_target(path)))

    async def news(self, stream: UpdateStream) -> list[messages.DestinationProfile]:
        await self.destination.profiles.settled()
        return news(stream)


def news(stream: UpdateStream) -> list[messages.DestinationProfile]:
    """What is queued now."""
    queued = [messages.DestinationProfile.FromString(message) for message in stream._queue]
    stream._queue.clear()
    return queued


def hint(profile: messages.DestinationProfile) -> str | None:
    name: str | None = profile.endpoint.protocol_hint.WhichOneof("protocol")
    return name


def is_bare(profile: messages.DestinationProfile) -> bool:
    """Whether nothing is known of the endpoint but its address."""
    bare = messages.WeightedAddr(addr=profile.endpoint.addr, weight=profile.endpoint.weight)
    return profile.endpoint == bare and bare.addr.port == 8080


def is_secured(profile: messages.DestinationProfile) -> bool:
    """Whether it says who must answer, in both places."""
    found = profile.endpoint.tls_identity
    names = {found.dns_like_identity.name, found.server_name.name}
    assert names in ({""}, {POD.identity})
    return profile.endpoint.HasField("tls_identity")


@pytest.mark.parametrize("ip", [V4, V6])
@pytest.mark.parametrize("port", [80, 90])
async def test_virtual_address_has_the_profile_of_its_service(ip: str, port: int) -> None:
    mesh = Mesh()
    profile = await mesh.profile(f"{ip}:{port}")
    assert profile == await mesh.profile(f"{WEB_NAME}:{port}")
    assert profile.fully_qualified_name == WEB_NAME
    assert profile.opaque_protocol is (port == 90)
    assert profile.parent_ref.resource.name == "web-svc"
    assert profile.parent_ref.resource.port == port
    assert not profile.HasField("endpoint")


async def test_virtual_address_has_an_empty_profile_for_an_undeclared_port() -> None:
    assert await Mesh().profile(f"{V4}:1234") == messages.DestinationProfile()


async def test_profile_of_a_virtual_address_follows_its_service() -> None:
    mesh = Mesh()
    stream = await mesh.watch(f"{V4}:80")
    await mesh.news(stream)
    mesh.local_mesh.put(replace(WEB, ports=(PortSpec("http", 80, 8080, opaque=True),)))
    (profile,) = await mesh.news(stream)
    assert profile.opaque_protocol


@pytest.mark.parametrize("ip", [V4, V6])
async def test_address_that_comes_goes_and_moves_refreshes_both_ends(ip: str) -> None:
    mesh = Mesh()
    mesh.local_mesh.put(replace(WEB, ips=()))
    other = "10.9.128.99"
    old, new = await mesh.watch(f"{ip}:80"), await mesh.watch(f"{other}:80")
    assert [
        profile.fully_qualified_name for profile in await mesh.news(old) + await mesh.news(new)
    ] == ["", ""]
    mesh.local_mesh.put(WEB)
    assert [profile.fully_qualified_name for profile in await mesh.news(old)] == [WEB_NAME]
    mesh.local_mesh.put(replace(WEB, ips=(other,)))
    assert [profile.fully_qualified_name for profile in await mesh.news(old)] == [""]
    assert [profile.fully_qualified_name for profile in await mesh.news(new)] == [WEB_NAME]
    mesh.local_mesh.remove(WEB)
    assert [profile.HasField("parent_ref") for profile in await mesh.news(new)] == [False]
    assert await mesh.news(old) == []


@pytest.mark.parametrize(("ip", "family"), [("10.9.0.16", "ipv4"), ("[fd00::10]", "ipv6")])
async def test_pod_is_found_by_either_address_and_answers_with_it(ip: str, family: str) -> None:
    profile = await Mesh().profile(f"{ip}:8080")
    address = profile.endpoint.addr
    assert address.ip.WhichOneof("ip") == family
    number = address.ip.ipv4 or (address.ip.ipv6.first << 64 | address.ip.ipv6.last)
    assert number == int(parse_target(f"{ip}:8080").ip)  # type: ignore[union-attr]
    assert address.port == 8080
    assert profile.endpoint.metric_labels["pod"] == "web-0"
    assert profile.endpoint.metric_labels["serviceaccount"] == "front"
    assert not profile.endpoint.HasField("resource_ref")
    assert hint(profile) == "h2"
    assert is_secured(profile)


async def test_endpoints_of_a_service_are_the_ipv4_addresses_of_pods() -> None:
    (encoded,) = await Mesh().destination.endpoints.snapshot(
        EndpointsQuestion(ServiceTarget(WEB.key, 80))
    )
    (address,) = messages.Update.FromString(encoded).add.addrs
    assert address.addr.ip.ipv4 == 0x0A090010


@pytest.mark.parametrize("ip", ["10.9.0.77", "[fd00::77]"])
async def test_address_of_nobody_is_bare_until_a_pod_has_it(ip: str) -> None:
    mesh = Mesh()
    stream = await mesh.watch(f"{ip}:8080")
    (bare,) = await mesh.news(stream)
    assert is_bare(bare)
    assert bare.fully_qualified_name == ""
    mesh.local_mesh.put(replace(POD, name="web-1", ip="10.9.0.77", ip6="fd00::77"))
    (found,) = await mesh.news(stream)
    assert found.endpoint.metric_labels["pod"] == "web-1"
    mesh.local_mesh.remove(replace(POD, name="web-1"))
    (gone,) = await mesh.news(stream)
    assert is_bare(gone)


@pytest.mark.parametrize("ip", ["10.9.0.16", "[fd00::10]"])
async def test_address_of_a_pod_that_failed_is_nobodys_until_another_has_it(ip: str) -> None:
    """A pod that ended stays to be looked at, while its address goes to the next."""
    mesh = Mesh()
    stream = await mesh.watch(f"{ip}:8080")
    await mesh.news(stream)
    mesh.local_mesh.put(replace(POD, status="Failed", ready=False))
    (failed,) = await mesh.news(stream)
    assert is_bare(failed)
    mesh.local_mesh.put(replace(POD, name="web-1"))
    (found,) = await mesh.news(stream)
    assert found.endpoint.metric_labels["pod"] == "web-1"


async def test_every_port_of_an_intercepted_pod_is_its_proxys_but_the_skipped() -> None:
    mesh = Mesh()
    opaque = await mesh.profile("10.9.0.16:9090")
    assert (hint(opaque), is_secured(opaque)) == ("opaque", True)
    assert opaque.endpoint.protocol_hint.opaque_transport.inbound_port == 4143
    undeclared = await mesh.profile("10.9.0.16:1234")
    assert (hint(undeclared), is_secured(undeclared)) == ("h2", True)
    skipped = await mesh.profile("10.9.0.16:4191")
    assert skipped.endpoint.addr.port == 4191
    assert (hint(skipped), is_secured(skipped)) == (None, False)


async def test_only_the_ports_of_a_pod_without_interception_are_its_proxys() -> None:
    mesh = Mesh(replace(POD, intercepted=False, ports={8080: 41001}))
    for port in (8080, 41001):
        known = await mesh.profile(f"10.9.0.16:{port}")
        assert (known.endpoint.addr.port, hint(known), is_secured(known)) == (41001, "h2", True)
    unknown = await mesh.profile("10.9.0.16:1234")
    assert unknown.endpoint.addr.port == 1234
    assert (hint(unknown), is_secured(unknown)) == (None, False)
    assert unknown.endpoint.metric_labels["control_plane_ns"] == "linkerd"


async def test_no_port_of_an_unmeshed_pod_is_a_proxys() -> None:
    mesh = Mesh(replace(POD, meshed=False))
    for port in (8080, 1234):
        profile = await mesh.profile(f"10.9.0.16:{port}")
        assert (hint(profile), is_secured(profile)) == (None, False)


async def test_profile_of_a_pod_follows_the_services_that_begin_to_lead_to_it() -> None:
    mesh = Mesh()
    stream = await mesh.watch("10.9.0.16:8080")
    assert [hint(profile) for profile in await mesh.news(stream)] == ["h2"]
    feed = replace(WEB, name="feed", ports=(PortSpec("", 70, 8080, opaque=True),), ips=())
    mesh.local_mesh.put(feed)
    assert [hint(profile) for profile in await mesh.news(stream)] == ["opaque"]
    mesh.local_mesh.remove(feed)
    assert [hint(profile) for profile in await mesh.news(stream)] == ["h2"]
