"""Edges as a table or as JSON; the layout is Linkerd's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from linkerd2_py.cli.render.check import MARKS
from linkerd2_py.cli.render.paint import PLAIN, Paint
from linkerd2_py.cli.render.table import Cell, Column, render_table

_ENDS: Final = ("SRC", "DST", "SRC_NS", "DST_NS")
_IDENTITIES: Final = ("CLIENT_ID", "SERVER_ID")

Edge = Mapping[str, Any]


def edge_table(edges: Sequence[Edge], *, wide: bool, paint: Paint = PLAIN) -> str:
    """One line for each edge; those that differ in what is not shown are one."""
    heads = (*_ENDS, *_IDENTITIES, "SECURED") if wide else (*_ENDS, "SECURED")
    rows = dict.fromkeys(_row(edge, wide=wide) for edge in edges)
    mark = Cell(MARKS["success"], paint.green)
    cells = [[*row, message or mark] for *row, message in rows]
    return render_table([Column(head, right=False) for head in heads], cells)


def as_json(edges: Sequence[Edge]) -> list[dict[str, str]]:
    """Linkerd's JSON: one flat list."""
    return [
        {
            "src": edge["src"]["name"],
            "src_namespace": edge["src"]["namespace"],
            "dst": edge["dst"]["name"],
            "dst_namespace": edge["dst"]["namespace"],
            "client_id": _short(edge["client_id"]),
            "server_id": _short(edge["server_id"]),
            "no_tls_reason": edge["no_identity_msg"],
        }
        for edge in edges
    ]


def _row(edge: Edge, *, wide: bool) -> tuple[str, ...]:
    src, dst = edge["src"], edge["dst"]
    identities = (_short(edge["client_id"]), _short(edge["server_id"])) if wide else ()
    ends = (src["name"], dst["name"], src["namespace"], dst["namespace"])
    return (*ends, *identities, edge["no_identity_msg"])


def _short(identity: str) -> str:
    """ServiceAccount and namespace: what comes after them is the same all over a mesh."""
    return ".".join(identity.split(".")[:2])
