"""Rows of the stat API as a table or as JSON; the layout is Linkerd's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.cli.render.paint import PLAIN, Paint
from linkerd2_py.cli.render.table import Cell, Column, printable_row, render_table
from linkerd2_py.cli.resources import SHORT_NAMES

NOTHING: Final = "-"
_HEADS: Final = ("SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99", "TLS", "TCP_CONN")
_SPLIT: Final = ("apex", "leaf", "weight")
_REFUSING: Final = frozenset({"httproute", "server"})
_POLICIES: Final = frozenset({"authorizationpolicy", "serverauthorization", *_REFUSING})
_WITHOUT_CONNECTIONS: Final = frozenset(
    {"authority", "authorizationpolicy", "httproute", "serverauthorization", "trafficsplit"}
)
_WIDE_HEADS: Final = ("READ_BYTES/SEC", "WRITE_BYTES/SEC")
_BYTE_RATES: Final = ("tcp_read_bytes_rate", "tcp_write_bytes_rate")
_TCP: Final = ("tcp_open_connections", *_BYTE_RATES)
_LATENCIES: Final = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatStyle:
    """What to show beside the numbers."""

    wide: bool = False
    namespaces: bool = False
    paint: Paint = PLAIN


def collect_rows(answers: Iterable[Mapping[str, Any]]) -> dict[str, list[Row]]:
    """The rows of several answers by type, in Linkerd's order of types, sorted, each once."""
    found: dict[str, dict[tuple[str, ...], Row]] = {}
    for answer in answers:
        for table in answer["tables"]:
            rows = found.setdefault(table["type"], {})
            rows |= {_key(row): row for row in table["rows"]}
    order = [*SHORT_NAMES, *(found.keys() - SHORT_NAMES.keys())]
    return {
        kind: [found[kind][key] for key in sorted(found[kind])] for kind in order if kind in found
    }


def _key(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name, "")) for name in ("namespace", "name", "server", *_SPLIT))


def render_tables(tables: Mapping[str, Sequence[Row]], *, style: StatStyle) -> str:
    """One table per type that has rows, an empty line between; types prefix names if several."""
    filled = {kind: rows for kind, rows in tables.items() if rows}
    prefix = len(filled) > 1
    texts = [
        _render_one(
            kind, rows, prefix=f"{SHORT_NAMES.get(kind, kind)}/" if prefix else "", style=style
        )
        for kind, rows in filled.items()
    ]
    return "\n\n".join(texts)


def as_json(tables: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Linkerd's JSON: one flat list; null where there is no traffic."""
    return [_json_row(row) for rows in tables.values() for row in rows]


def _render_one(kind: str, rows: Sequence[Row], *, prefix: str, style: StatStyle) -> str:
    left = [Column(head, right=False) for head in _left_heads(kind, style=style)]
    right = [Column(head) for head in _right_heads(kind, style=style)]
    cells = [printable_row(_cells(kind, row, prefix=prefix, style=style)) for row in rows]
    return render_table([*left, *right], cells)


def _left_heads(kind: str, *, style: StatStyle) -> list[str]:
    heads = ["NAMESPACE"] * style.namespaces + ["NAME"]
    heads += ["SERVER"] * (kind == "httproute")
    return [*heads, *(name.upper() for name in _SPLIT[:2])] if kind == "trafficsplit" else heads


def _right_heads(kind: str, *, style: StatStyle) -> list[str]:
    heads = ["STATUS"] * (kind == "pod")
    if kind == "trafficsplit":
        heads.append("WEIGHT")
    elif kind not in _POLICIES:
        heads.append("MESHED")
    heads += ["UNAUTHORIZED"] * (kind in _REFUSING)
    heads += [head for head in _HEADS if head != "TLS" or kind not in _POLICIES]
    if kind in _WITHOUT_CONNECTIONS - {"authority"}:
        return heads[:-1]
    return [*heads, *_WIDE_HEADS] if style.wide else heads


def _cells(kind: str, row: Row, *, prefix: str, style: StatStyle) -> list[str | Cell]:
    cells: list[str | Cell] = [row["namespace"]] if style.namespaces else []
    cells.append(f"{prefix}{row['name']}")
    cells += [row["server"] or NOTHING] * (kind == "httproute")
    cells += [row["status"] or NOTHING] * (kind == "pod")
    if kind == "trafficsplit":
        cells += [row[name] for name in _SPLIT]
    elif kind not in _POLICIES:
        cells.append(_meshed(row))
    if kind in _REFUSING:
        cells.append(_refused(row["refused_rps"], paint=style.paint))
    requests = _request_cells(row["stats"], paint=style.paint)
    cells += requests[:-1] if kind in _POLICIES else requests
    if kind in _WITHOUT_CONNECTIONS - {"authority"}:
        return cells
    tcp = _tcp_of(row)
    cells.append(NOTHING if tcp is None else str(int(tcp["tcp_open_connections"])))
    if style.wide:
        cells += [NOTHING if tcp is None else f"{tcp[name]:.1f}B/s" for name in _BYTE_RATES]
    return cells


def _refused(rps: float | None, *, paint: Paint) -> str | Cell:
    """What was turned away, each second."""
    return NOTHING if rps is None else Cell(f"{rps:.1f}rps", paint.red if rps else None)


def _request_cells(stats: Row | None, *, paint: Paint) -> list[str | Cell]:
    if stats is None or not _has_requests(stats):
        return [NOTHING] * 6
    rate = float(stats["success_rate"])
    tls = stats.get("tls_percent")
    return [
        Cell(f"{rate * 100:.2f}%", paint.red if rate < 1 else None),
        f"{stats['rps']:.1f}rps",
        *(f"{int(stats[name])}ms" for name in _LATENCIES),
        NOTHING if tls is None else f"{_whole_percent(float(tls))}%",
    ]


def _whole_percent(share: float) -> int:
    """Rounded down: 100% means all. Sums of the same counts in another order differ by far less than what
    is added.
    """
    return math.floor(share + 1e-6)


def _json_row(row: Row) -> dict[str, Any]:
    stats, tcp = row["stats"], _tcp_of(row)
    # Linkerd's JSON gives ratios where its tables give percents.
    tls = stats.get("tls_percent") if stats is not None else None
    busy = stats is not None and _has_requests(stats)
    meshed = None if row["meshed"] is None else _meshed(row)
    return {
        "namespace": row["namespace"],
        "kind": row["type"],
        "name": row["name"],
        "meshed": meshed,
        "success": stats["success_rate"] if busy else None,
        "rps": stats["rps"] if busy else None,
        **{name: stats[name] if busy else None for name in _LATENCIES},
        "tls": tls / 100 if busy and tls is not None else None,
        **{name: None if tcp is None else tcp[name] for name in _TCP},
        **_further(row),
    }


def _further(row: Row) -> dict[str, Any]:
    """What only policies and splits have."""
    if row["type"] == "trafficsplit":
        return {name: row[name] for name in _SPLIT}
    if row["type"] not in _REFUSING:
        return {}
    server = {"server": row["server"]} if row["type"] == "httproute" else {}
    return {**server, "unauthorized": row["refused_rps"]}


def _meshed(row: Row) -> str:
    return NOTHING if row["meshed"] is None else f"{row['meshed']}/{row['running']}"


def _has_requests(stats: Row) -> bool:
    return bool(stats["success"] + stats["failure"] > 0)


def _tcp_of(row: Row) -> Row | None:
    """The numbers of connections, if there are any: an authority is asked for, not connected to."""
    stats: Row | None = row["stats"]
    if stats is None or row["type"] in _WITHOUT_CONNECTIONS:
        return None
    return stats if stats.get("tcp_open_connections") is not None else None
