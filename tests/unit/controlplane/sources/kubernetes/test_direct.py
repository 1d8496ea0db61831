"""Kinds that nothing is joined for: one kind under several names is one table of the mesh."""

from __future__ import annotations

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes.direct import DirectKind
from linkerd2_py.controlplane.sources.kubernetes.policy import read_server

ONE = Server("shop", "one", 80)
TWO = Server("shop", "two", 81)


def _server(found: Json) -> Server:
    return Server("shop", found["name"], 80)


def test_a_kind_is_published_once_each_name_of_it_is_listed() -> None:
    store = MeshStore()
    kind = DirectKind(Server, store=store)
    first, second = kind.sink(_server), kind.sink(_server)
    first.replace([ONE])
    first.put(first.read({"name": "three"}))
    assert not store.mesh.is_synced(Server)
    second.replace([TWO])
    assert store.mesh.is_synced(Server)
    assert set(store.mesh.servers) == {ONE.key, TWO.key, ("shop", "three")}


def test_a_new_list_of_one_name_leaves_the_others() -> None:
    store = MeshStore()
    kind = DirectKind(Server, store=store)
    first, second = kind.sink(_server), kind.sink(_server)
    first.replace([ONE])
    second.replace([TWO])
    told: list[Change] = []
    store.subscribe(told.extend)
    first.replace([])
    assert list(store.mesh.servers) == [TWO.key]
    second.remove(TWO)
    assert told == [Change(ONE, None), Change(TWO, None)]


def test_a_server_as_it_comes() -> None:
    found = read_server(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {
                "podSelector": {
                    "matchLabels": {"app": "web"},
                    "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}],
                },
                "port": "http",
                "accessPolicy": "audit",
            },
        }
    )
    assert (found.port, found.proxy_protocol, found.access_policy) == ("http", "unknown", "audit")
    assert found.external_workloads is None
    assert found.pods is not None
    assert found.pods.selects({"app": "web"})
    assert not found.pods.selects({"app": "web", "old": "yes"})
    nothing = read_server({"metadata": {"namespace": "shop", "name": "odd"}, "spec": {"port": []}})
    assert (nothing.port, nothing.pods, nothing.access_policy) == ("", None, "deny")
