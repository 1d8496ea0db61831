"""Whatever stands in whatever field that a reader asks for, it reads something: nothing raises, and what is
read can be kept in a store.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import NO_PORTS, MeshObject
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.table import Table
from linkerd2_py.controlplane.sources.kubernetes.assembly import Assembly, TableSink
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities, read_pod
from linkerd2_py.controlplane.sources.kubernetes.services import read_service, read_slice
from linkerd2_py.controlplane.sources.kubernetes.source import DIRECT, read_namespace, read_node
from linkerd2_py.controlplane.sources.kubernetes.workloads import read_workload

# Words that lead a reader further than anything made up would.
WORDS = (
    *("TCP", "IPv4", "Pod", "ExternalWorkload", "Ready", "True", "None", "Local", "ExternalName"),
    *("192.0.2.1", "2001:db8::1", "10.0.0.0/8", "::/0", "8080", "http", "opaque", "HTTP/2"),
    *("policy.linkerd.io", "gateway.networking.k8s.io", "linkerd.io/policy-controller"),
    *("Server", "Namespace", "ServiceAccount", "Service", "EgressNetwork", "HTTPRoute"),
    *("RequestRedirect", "RequestHeaderModifier", "RegularExpression", "Exact", "In", "Allow"),
    *("100m", "1M", "9" * 30, "10s", "1h90m", "-1s", "2024-01-01T00:00:00Z", "0001-01-01"),
    *("9999-12-31T23:59:59-23:59", "0-65535", "80,443-20,x", "٣", "linkerd-proxy", "linkerd"),
    *("LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "[::]:4191"),
)
LABELS = ("linkerd.io/control-plane-ns", "kubernetes.io/service-name", "app", "")
DEEP = 6

_texts = st.sampled_from(WORDS) | st.text(max_size=12)
_plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from((0, 1, 80, 65536, 2**63, 10**400)),
    st.floats(),
    _texts,
)


class Absurd(dict[str, Any]):
    """An object that has every field that is asked for, with anything in it."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], depth: int = 0) -> None:
        super().__init__()
        self._draw = draw
        self._depth = depth

    def __missing__(self, name: str) -> object:
        self[name] = value = self._value()
        return value

    def __contains__(self, name: object) -> bool:
        return self[str(name)] is not None

    def get(self, name: str, _default: object = None) -> Any:
        return self[name]

    def items(self) -> ItemsView[str, Any]:
        for name in self._draw(st.lists(st.sampled_from(LABELS) | _texts, max_size=2)):
            self[name]
        return super().items()

    def _value(self) -> object:
        """Most of the outer fields have others in them, and most of the inner ones have words."""
        kind = self._draw(st.integers(0, 9))
        inner = self._depth * 2
        if kind == 0 or self._depth == DEEP:
            return self._draw(_plain)
        if kind <= inner:
            return self._draw(_texts)
        if kind % 2:
            return Absurd(self._draw, self._depth + 1)
        several = self._draw(st.lists(st.integers(0, 3), max_size=2))
        return [
            Absurd(self._draw, self._depth + 1) if one else self._draw(_plain) for one in several
        ]


def _absurd(draw: st.DrawFn) -> Absurd:
    return Absurd(draw)


absurd = st.composite(_absurd)()

PARTS: dict[str, Callable[[Json], MeshObject]] = {
    "namespaces": read_namespace,
    "nodes": read_node,
    "pods": partial(read_pod, identities=Identities()),
    "services": read_service,
    "slices": read_slice,
    "deployment": partial(read_workload, kind="deployment"),
    "replicaset": partial(read_workload, kind="replicaset"),
}
NAMED = {str(at): read for kind in DIRECT.values() for at, read in kind.items()}


@pytest.mark.parametrize("name", NAMED)
@given(found=absurd)
def test_kinds_that_nothing_is_joined_for(name: str, found: Json) -> None:
    one = NAMED[name](found)
    store = MeshStore()
    store.replace({type(one): [one]})
    store.put(one)
    store.remove(type(one), key=one.key)
    assert not store.mesh.tables[type(one)]


@pytest.mark.parametrize("part", PARTS)
@given(found=absurd)
def test_parts_of_which_others_are_made(part: str, found: Json) -> None:
    store = MeshStore()
    assembly = Assembly(store, workload_kinds=("deployment", "replicaset"))
    tables: dict[str, Table[Any, Any]] = {
        name: getattr(assembly, name, None) or assembly.workloads.get(name, Table())
        for name in PARTS
    }
    sinks = {
        name: TableSink(table, read=PARTS[name], assembly=assembly)
        for name, table in tables.items()
    }
    for sink in sinks.values():
        sink.replace([])
    one = sinks[part].read(found)
    sinks[part].put(one)
    sinks[part].remove(one)
    assert not [kind for kind, table in store.mesh.tables.items() if table]


def test_what_is_drawn_reaches_far() -> None:
    """Else all of the above would say little."""
    reached: set[str] = set()

    @settings(max_examples=500, derandomize=True)
    @given(found=absurd)
    def look(found: Json) -> None:
        pod = PARTS["pods"](found)
        reached.update(name for name in ("ips", "ports") if getattr(pod, name))
        if pod.proxied != NO_PORTS:  # type: ignore[attr-defined]
            reached.add("meshed")

    look()
    assert reached == {"ips", "ports", "meshed"}
