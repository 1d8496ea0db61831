"""Rows of the stat API as a table or as JSON; the layout is Linkerd's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.cli.render.paint import PLAIN, Paint
from linkerd2_py.cli.render.table import Cell, Column, render_table
from linkerd2_py.cli.resources import SHORT_NAMES

NOTHING: Final = "-"
_HEADS: Final = (
    *("MESHED", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99", "TLS", "TCP_CONN"),
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
    found: dict[str, dict[tuple[str, str], Row]] = {}
    for answer in answers:
        for table in answer["tables"]:
            rows = found.setdefault(table["type"], {})
            rows |= {(row["namespace"], row["name"]): row for row in table["rows"]}
    order = [*SHORT_NAMES, *(found.keys() - SHORT_NAMES.keys())]
    return {
        kind: [found[kind][key] for key in sorted(found[kind])] for kind in order if kind in found
    }


def render_tables(tables: Mapping[str, Sequence[Row]], *, style: StatStyle) -> str:
    """One table per type that has rows, an empty line between; types prefix names if several."""
    filled = {kind: rows for kind, rows in tables.items() if rows}
    prefix = len(filled) > 1
    texts = [
        _render_one(rows, prefix=f"{SHORT_NAMES.get(kind, kind)}/" if prefix else "", style=style)
        for kind, rows in filled.items()
    ]
    return "\n\n".join(texts)


def as_json(tables: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Linkerd's JSON: one flat list; null where there is no traffic."""
    return [_json_row(row) for rows in tables.values() for row in rows]


def _render_one(rows: Sequence[Row], *, prefix: str, style: StatStyle) -> str:
    left = ("NAMESPACE", "NAME") if style.namespaces else ("NAME",)
    right = (*_HEADS, *_WIDE_HEADS) if style.wide else _HEADS
    columns = [*(Column(head, right=False) for head in left), *(Column(head) for head in right)]
    return render_table(columns, [_cells(row, prefix=prefix, style=style) for row in rows])


def _cells(row: Row, *, prefix: str, style: StatStyle) -> list[str | Cell]:
    names = [row["namespace"]] if style.namespaces else []
    cells: list[str | Cell] = [*names, f"{prefix}{row['name']}", _meshed(row)]
    cells += _request_cells(row["stats"], paint=style.paint)
    tcp = _tcp_of(row)
    cells.append(NOTHING if tcp is None else str(int(tcp["tcp_open_connections"])))
    if style.wide:
        cells += [NOTHING if tcp is None else f"{tcp[name]:.1f}B/s" for name in _BYTE_RATES]
    return cells


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
    }


def _meshed(row: Row) -> str:
    return NOTHING if row["meshed"] is None else f"{row['meshed']}/{row['running']}"


def _has_requests(stats: Row) -> bool:
    return bool(stats["success"] + stats["failure"] > 0)


def _tcp_of(row: Row) -> Row | None:
    """The numbers of connections, if there are any: an authority is asked for, not connected to."""
    stats: Row | None = row["stats"]
    if stats is None or row["type"] == "authority":
        return None
    return stats if stats.get("tcp_open_connections") is not None else None
