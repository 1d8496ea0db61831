"""Streams of inbound policies: each change is told to those whom it concerns, and costs nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.inbound import InboundSettings, NamedPort
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import (
    ExternalWorkload,
    Key,
    MeshObject,
    Namespace,
    Pod,
)
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthorizationPolicy,
    Clients,
    HTTPLocalRateLimitPolicy,
    Identities,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Server,
    ServerAuthorization,
    Target,
)
from linkerd2_py.controlplane.mesh.routes import POLICY, HTTPMatch, HTTPRoute, HTTPRule
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound import answers
from linkerd2_py.controlplane.policy.inbound.inbound import InboundPolicies
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion, port_question
from linkerd2_py.controlplane.policy.refusals import RefusedError
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.proto.gen import inbound_pb2 as inbound

POD = Pod(
    "shop",
    "web-0",
    meshed=True,
    labels={"app": "web"},
    inbound=InboundSettings(names=(NamedPort("http", 8080),)),
)
OTHER = replace(POD, namespace="other")
SERVER = Server("shop", "web", "http", pods=Selector({"app": "web"}))
ROUTE = HTTPRoute(
    group=POLICY,
    namespace="shop",
    name="get",
    parents=(Parent(POLICY, "Server", "shop", "web"),),
    rules=(HTTPRule(matches=(HTTPMatch(),)),),
)
BY_TLS = Authentication("MeshTLSAuthentication", "auth", "clients")
BY_NETWORK = Authentication("NetworkAuthentication", "auth", "nets")
ASKED = port_question("shop:web-0", 8080)


class Asking:
    """A mesh, and somebody who follows its answers."""

    def __init__(self) -> None:
        self.store = MeshStore()
        self.store.replace({kind: [] for kind in self.store.mesh.tables})
        self.policies = InboundPolicies(
            self.store, settings=Settings(), metrics=CollectorRegistry()
        )
        self.store.put(POD, OTHER)

    async def follow(self, question: PortQuestion = ASKED) -> UpdateStream:
        return await self.policies.watches.subscribe(question)

    async def told(self, stream: UpdateStream) -> list[inbound.Server]:
        """What has come since it was read last."""
        await self.policies.watches.settled()
        queued = [inbound.Server.FromString(one) for one in stream._queue]
        stream._queue.clear()
        return queued


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    made = Asking()
    yield made
    made.policies.close()
    await made.policies.watches.settled()


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[PortQuestion]:
    """Every question whose answer has been made, in that order."""
    made: list[PortQuestion] = []
    real = answers.port_policy

    def counted(question: PortQuestion, **rest: object) -> object:
        made.append(question)
        return real(question, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(answers, "port_policy", counted)
    return made


CHANGES: dict[str, MeshObject] = {
    "pod": replace(POD, inbound=replace(POD.inbound, policy="deny")),
    "namespace": Namespace(
        "shop", annotations={"config.linkerd.io/default-inbound-policy": "deny"}
    ),
    "server": SERVER,
}
OF_SERVER: dict[str, MeshObject] = {
    "server": replace(SERVER, access_policy="audit"),
    "server authorization": ServerAuthorization("shop", "a", "web", clients=Clients()),
    "by labels": ServerAuthorization("shop", "a", selector=Selector(), clients=Clients()),
    "policy": AuthorizationPolicy("shop", "a", Target("Server", "web")),
    "policy of the namespace": AuthorizationPolicy("shop", "a", Target("Namespace")),
    "authentication": MeshTLSAuthentication("auth", "clients", Identities(("*",))),
    "network": NetworkAuthentication("auth", "nets", (Network(ip_network("10.0.0.0/8")),)),
    "route": ROUTE,
    "rate limit": HTTPLocalRateLimitPolicy("shop", "a", "web", 7),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_changes_a_default_answer_is_told_and_untold(
    asking: Asking, change: MeshObject
) -> None:
    stream = await asking.follow()
    (before,) = await asking.told(stream)
    asking.store.put(change)
    (after,) = await asking.told(stream)
    assert after != before
    if isinstance(change, Pod):
        asking.store.put(POD)
    else:
        asking.store.remove(type(change), key=change.key)
    assert await asking.told(stream) == [before]


@pytest.mark.parametrize("change", OF_SERVER.values(), ids=OF_SERVER)
async def test_what_changes_the_answer_of_a_server_is_told(
    asking: Asking, change: MeshObject
) -> None:
    for_clients = AuthorizationPolicy("shop", "waiting", Target("Server", "web"), (BY_TLS,))
    for_places = replace(for_clients, name="waiting too", requires=(BY_NETWORK,))
    asking.store.put(SERVER, for_clients, for_places)
    stream = await asking.follow()
    (before,) = await asking.told(stream)
    asking.store.put(change)
    (after,) = await asking.told(stream)
    assert after != before


async def test_what_is_said_of_a_route_is_told(asking: Asking) -> None:
    asking.store.put(SERVER, ROUTE)
    stream = await asking.follow()
    await asking.told(stream)
    target = Target("HTTPRoute", "get", POLICY)
    asking.store.put(AuthorizationPolicy("shop", "of-route", target))
    (after,) = await asking.told(stream)
    assert after.protocol.detect.http_routes[0].authorizations


async def test_a_server_costs_only_those_who_ask_about_such_a_port_in_its_namespace(
    asking: Asking, computed: list[PortQuestion]
) -> None:
    """One of a thousand changes, and nothing is made anew that it cannot touch."""
    asking.store.put(*(replace(SERVER, namespace=f"n{number}") for number in range(1000)))
    elsewhere = port_question("other:web-0", 8080)
    other_port = port_question("shop:web-0", 9090)
    streams = [await asking.follow(one) for one in (ASKED, elsewhere, other_port)]
    computed.clear()
    asking.store.put(replace(SERVER, namespace="n7", access_policy="audit"))
    await asking.policies.watches.settled()
    assert computed == []
    asking.store.put(SERVER)
    await asking.policies.watches.settled()
    assert computed == [ASKED]
    assert [len(await asking.told(stream)) for stream in streams] == [2, 1, 1]


async def test_nothing_is_told_that_is_as_it_was(
    asking: Asking, computed: list[PortQuestion]
) -> None:
    """What a policy requires is not there: it lets nobody in, as before it was."""
    asking.store.put(SERVER)
    stream = await asking.follow()
    await asking.told(stream)
    computed.clear()
    asking.store.put(AuthorizationPolicy("shop", "a", Target("Server", "web"), (BY_TLS,)))
    assert await asking.told(stream) == []
    assert computed == [ASKED]


async def test_what_answers_do_not_say_costs_nothing(
    asking: Asking, computed: list[PortQuestion]
) -> None:
    asking.store.put(SERVER, ROUTE)
    await asking.follow()
    computed.clear()
    asking.store.put(replace(POD, ready=True, ips=("10.0.0.1",)))
    asking.store.put(Namespace("shop", labels={"a": "b"}))
    await asking.policies.watches.settled()
    assert computed == []


async def test_one_question_is_answered_once_for_all(
    asking: Asking, computed: list[PortQuestion]
) -> None:
    streams = [await asking.follow() for _ in range(3)]
    asking.store.put(SERVER)
    for stream in streams:
        assert len(await asking.told(stream)) == 2
    assert computed == [ASKED, ASKED]


@pytest.mark.parametrize("said", ["shop:nobody", '{"ns": "shop", "external_workload": "vm"}'])
async def test_workloads_that_are_not_there_are_not_found(asking: Asking, said: str) -> None:
    with pytest.raises(RefusedError, match=r"^unknown server$") as refused:
        await asking.follow(port_question(said, 80))
    assert refused.value.reason == "not found"


async def test_an_external_workload_has_servers_of_its_own(asking: Asking) -> None:
    machine = ExternalWorkload("shop", "vm", labels={"app": "web"}, inbound=POD.inbound)
    asking.store.put(machine, SERVER)
    stream = await asking.follow(port_question('{"ns":"shop","external_workload":"vm"}', 8080))
    (before,) = await asking.told(stream)
    assert before.labels["kind"] == "default"
    asking.store.put(replace(SERVER, name="vms", pods=None, external_workloads=Selector()))
    (after,) = await asking.told(stream)
    assert after.labels["name"] == "vms"
    asking.store.put(replace(machine, inbound=replace(POD.inbound, names=())))
    (again,) = await asking.told(stream)
    assert again == before


async def test_a_pod_without_a_proxy_is_not_found(asking: Asking) -> None:
    asking.store.put(replace(POD, name="plain", meshed=False))
    with pytest.raises(RefusedError):
        await asking.follow(port_question("shop:plain", 80))
    assert asking.policies.watches.questions == 0


async def test_a_pod_that_goes_and_comes_again_is_told_what_is_new(asking: Asking) -> None:
    stream = await asking.follow()
    await asking.told(stream)
    asking.store.remove(Pod, key=Key("shop", "web-0"))
    assert await asking.told(stream) == []
    asking.store.put(POD, SERVER)
    (after,) = await asking.told(stream)
    assert after.labels["name"] == "web"


@pytest.mark.parametrize("port", [0, 65536])
def test_ports_that_are_none(port: int) -> None:
    with pytest.raises(RefusedError, match=f"^Invalid port: {port}$"):
        port_question("shop:web-0", port)


@pytest.mark.parametrize("said", ["", "x", "{}", "[1]", "{" * 10_000, '{"ns": "shop"}'])
def test_words_that_name_no_workload(said: str) -> None:
    with pytest.raises(RefusedError, match=r"^Invalid workload: ") as refused:
        port_question(said, 80)
    assert refused.value.reason == "invalid"
