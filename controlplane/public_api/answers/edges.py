"""`/api/v1/edges`: who is connected to whom, and as whom. The open connections of proxies, joined with the
identities of their pods.

Only clients' proxies are asked. They know both ends: the server's identity is what they verified, their own
is their pod's.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import OPEN_CONNECTIONS
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import WORKLOADS, Kind, names_of, parse_kind
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

_NAMESPACE = Parameter("only with an end in this namespace; all when absent")


def parse_edge_kind(name: str) -> Kind:
    """Between things of which kind; raises `InvalidQueryError`."""
    kind = parse_kind(name)
    # Services and authorities are names of targets: no connection ends at one.
    if kind is not Kind.POD and kind not in WORKLOADS:
        raise InvalidQueryError(f"resource type is not supported: {kind.value}; use deploy or po")
    return kind


_TYPE = Parameter(
    "between things of this type: deploy or po",
    parse_edge_kind,
    [name for kind in (Kind.POD, *sorted(WORKLOADS)) for name in names_of(kind)],
)


@dataclass(frozen=True, slots=True)
class Ends:
    """What is asked."""

    type: Annotated[Kind, _TYPE]
    namespace: Annotated[str, _NAMESPACE] = ""


class End(TypedDict):
    """One of the two things."""

    namespace: str
    type: str
    name: str


class ListedEdge(TypedDict):
    """Connections of one kind between two things."""

    src: End
    dst: End
    client_id: str
    server_id: str
    no_identity_msg: str


class Edges(TypedDict):
    """The answer, by namespaces first."""

    edges: list[ListedEdge]


class Edge(NamedTuple):
    """Connections of one kind between two things; `no_identity_msg` says why they are not secured, and is
    empty where they are.
    """

    src_namespace: str
    dst_namespace: str
    src: str
    dst: str
    client_id: str
    server_id: str
    no_identity_msg: str

    def listed(self, kind: Kind) -> ListedEdge:
        """As it is answered."""
        return {
            "src": {"namespace": self.src_namespace, "type": kind.value, "name": self.src},
            "dst": {"namespace": self.dst_namespace, "type": kind.value, "name": self.dst},
            "client_id": self.client_id,
            "server_id": self.server_id,
            "no_identity_msg": self.no_identity_msg,
        }


def edges(mesh: Mesh, *, metrics: MetricsStore) -> Operation[Ends]:
    """The operation."""

    async def answer(asked: Ends) -> Edges:
        found = await find_edges(asked, metrics=metrics, mesh=mesh)
        return {"edges": [edge.listed(asked.type) async for edge in in_slices(found)]}

    return Operation("/api/v1/edges", "Who is connected to whom", Ends, Edges, answer)


async def find_edges(asked: Ends, *, metrics: MetricsStore, mesh: Mesh) -> list[Edge]:
    """The edges that have an end in the namespace, or all; sorted.

    Where some connections of two things are secured and some are not, or to others, there is an edge for
    each.
    """
    selection = edge_selection(asked.type)
    counts = await metrics.latest(OPEN_CONNECTIONS, selection=selection, at_ms=metrics.now_ms())
    found = {_edge(group, mesh=mesh) async for group, count in in_slices(counts.items()) if count}
    return sorted(edge for edge in found if edge and _has_end(edge, asked.namespace))


def edge_selection(kind: Kind) -> Selection:
    """Connections that proxies opened to something of the mesh."""
    src, dst = kind.label, kind.dst_label
    labels = ("namespace", src, "dst_namespace", dst, "pod", "server_id", "tls", "no_tls_reason")
    return Selection({"direction": "outbound"}, labels, present=(src, dst))


def _has_end(edge: Edge, namespace: str) -> bool:
    return namespace in {"", edge.src_namespace, edge.dst_namespace}


def _edge(group: Group, *, mesh: Mesh) -> Edge | None:
    namespace, src, dst_namespace, dst, pod, server_id, tls, reason = group
    client = mesh.pods.get(Key(namespace, pod))
    if client is None:
        # It went after its metrics were read.
        return None
    message = "" if tls == "true" else _in_words(reason or tls or "no_identity")
    return Edge(namespace, dst_namespace, src, dst, client.identity, server_id, message)


def _in_words(reason: str) -> str:
    """As Linkerd shows the labels' values: `not_http` -> `Not HTTP`."""
    words = reason.replace("_", " ").title()
    return words.replace("Http", "HTTP").replace("Tls", "TLS")
