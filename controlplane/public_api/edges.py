"""Who is connected to whom, and as whom: the open connections of proxies, joined with the identities of their pods.

Only clients' proxies are asked. They know both ends: the server's identity is what they verified, their own is their pod's.
"""

from dataclasses import dataclass

from linkerd2_py.controlplane.mesh.objects import Key, Mesh
from linkerd2_py.controlplane.metrics.embedded.queries import Group, Selection, sum_latest
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.public_api.moment import Moment
from linkerd2_py.controlplane.public_api.resources import InvalidQueryError, Kind, parse_kind

# Services and authorities are names of targets: no connection ends at one.
_KINDS = (Kind.DEPLOYMENT, Kind.POD)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """Connections of one kind between two things; `no_identity_msg` says why they are not secured, and is empty where they are."""

    src_namespace: str
    dst_namespace: str
    src: str
    dst: str
    client_id: str
    server_id: str
    no_identity_msg: str

    def as_json(self, kind: Kind) -> dict[str, object]:
        """An entry of `/api/v1/edges`."""
        return {
            "src": {"namespace": self.src_namespace, "type": kind.value, "name": self.src},
            "dst": {"namespace": self.dst_namespace, "type": kind.value, "name": self.dst},
            "client_id": self.client_id,
            "server_id": self.server_id,
            "no_identity_msg": self.no_identity_msg,
        }


def parse_edge_kind(name: str) -> Kind:
    """Between things of which kind; raises `InvalidQueryError`."""
    kind = parse_kind(name)
    if kind not in _KINDS:
        raise InvalidQueryError(f"resource type is not supported: {kind.value}; use deploy or po")
    return kind


def find_edges(
    kind: Kind, *, namespace: str, store: SampleStore, mesh: Mesh, now: Moment
) -> list[Edge]:
    """The edges that have an end in `namespace`, or all; sorted, by namespaces first.

    Where some connections of two things are secured and some are not, or to others, there is an edge for each.
    """
    counts = sum_latest(
        store, "tcp_open_connections", selection=edge_selection(kind), at_ms=now.at_ms
    )
    found = {_edge(group, mesh=mesh) for group, count in counts.items() if count}
    return sorted(
        edge for edge in found if edge and namespace in {"", edge.src_namespace, edge.dst_namespace}
    )


def edge_selection(kind: Kind) -> Selection:
    """Connections that proxies opened to something of the mesh."""
    src, dst = kind.value, f"dst_{kind.value}"
    labels = ("namespace", src, "dst_namespace", dst, "pod", "server_id", "tls", "no_tls_reason")
    return Selection({"direction": "outbound"}, labels, present=(src, dst))


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
