"""What of a request is part of the question: two proxies that get the same answer ask the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.destination.questions import (
    EndpointsQuestion,
    ProfileQuestion,
    Token,
    endpoints_question,
    profile_question,
    read_token,
)
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.targets import LONGEST_PATH, ServiceTarget
from linkerd2_py.controlplane.mesh.objects import Key, Node, PortSpec, Service
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore

WEB = Service("shop", "web", (PortSpec("http", 80, 8080),), ips=("10.96.0.10",))
PATH = "web.shop.svc.cluster.local:80"
TARGET = ServiceTarget(WEB.key, 80)


@pytest.fixture
def store() -> MeshStore:
    store = MeshStore()
    store.put(WEB, Node("a", "west"), Node("b", "west"), Node("c", ""))
    return store


def on(node: str) -> str:
    return f'{{"ns": "client", "nodeName": "{node}", "pod": "client-0"}}'


@pytest.mark.parametrize(
    ("said", "token"),
    [
        (on("a"), Token("client", "a")),
        ('{"ns": "client"}', Token("client")),
        ("{}", Token()),
        ("ns:client", Token("client")),
        ("ns:client:more", Token()),
        ("pod:client", Token()),
        ("garbage", Token()),
        ("", Token()),
        ("[]", Token()),
        ('{"ns": 3, "nodeName": "a"}', Token()),
        ("[" * 100_000, Token()),
    ],
)
def test_token(said: str, token: Token) -> None:
    assert read_token(said) == token


@given(st.text())
def test_any_token_says_something_or_nothing(said: str) -> None:
    assert all(isinstance(part, str) for part in read_token(said))


@pytest.mark.parametrize("node", ["a", "b"])
def test_endpoints_are_asked_for_by_zone(store: MeshStore, node: str) -> None:
    asked = endpoints_question(PATH, on(node), mesh=store.mesh)
    assert asked == EndpointsQuestion(TARGET, zone="west")


@pytest.mark.parametrize("node", ["c", "unknown"])
def test_where_no_zone_is_known_yet_the_node_is_asked_for(store: MeshStore, node: str) -> None:
    assert endpoints_question(PATH, on(node), mesh=store.mesh) == EndpointsQuestion(
        TARGET, node=node
    )


def test_a_service_that_each_node_serves_is_asked_for_by_node(store: MeshStore) -> None:
    store.put(replace(WEB, local=True))
    assert endpoints_question(PATH, on("a"), mesh=store.mesh) == EndpointsQuestion(TARGET, node="a")
    # Without a node nobody serves it.
    assert endpoints_question(PATH, mesh=store.mesh) == EndpointsQuestion(TARGET)


@pytest.mark.parametrize("path", [PATH, "10.96.0.10:80"])
def test_profiles_are_asked_for_by_the_namespace_of_clients(store: MeshStore, path: str) -> None:
    others = profile_question(path, on("a"), mesh=store.mesh)
    assert others.namespace == "client"
    own = profile_question(path, '{"ns": "shop"}', mesh=store.mesh)
    assert own == profile_question(path, mesh=store.mesh) == ProfileQuestion(own.target)


@pytest.mark.parametrize("path", ["192.0.2.1:80", "web-0.web.shop.svc.cluster.local:80"])
def test_profiles_of_a_pod_are_the_same_for_all(store: MeshStore, path: str) -> None:
    assert profile_question(path, on("a"), mesh=store.mesh).namespace == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", 'invalid service "": "name  does not match cluster domain cluster.local"'),
        ("svc.cluster.local", 'invalid service "svc.cluster.local": '),
        ("a.b.c.d.svc.cluster.local:1", 'invalid service "a.b.c.d.svc.cluster.local": '),
        ("web:http", 'invalid authority: "web:http": "invalid port http"'),
        ("web:0", 'invalid authority: "web:0": "invalid port 0"'),
        ("web:" + "9" * 9000, "invalid authority: "),
        ("[::1]", 'invalid authority: "[::1]": "invalid destination"'),
    ],
)
def test_what_makes_no_sense_is_refused_in_few_words(path: str, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        profile_question(path, mesh=Mesh())
    assert str(refused.value).startswith(words)
    assert refused.value.reason == "invalid"
    assert len(str(refused.value)) < 2 * LONGEST_PATH
    with pytest.raises(RefusedError, match=r"^Invalid authority: ") as refused:
        endpoints_question(path, mesh=Mesh())
    assert len(str(refused.value)) < 2 * LONGEST_PATH


def test_a_name_that_is_not_there_may_be_asked_for() -> None:
    asked = endpoints_question("NONE.shop.svc.cluster.local", on("a"), mesh=Mesh())
    assert asked == EndpointsQuestion(ServiceTarget(Key("shop", "NONE"), 80), node="a")
