"""Routes as tables or as JSON; the layout is Linkerd's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.cli.render.paint import PLAIN, Paint
from linkerd2_py.cli.render.table import Cell, Column, printable_row, render_table

NOTHING: Final = "-"
_LATENCIES: Final = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
_LATENCY_HEADS: Final = ("LATENCY_P50", "LATENCY_P95", "LATENCY_P99")
_HEADS: Final = ("SUCCESS", "RPS")
_ACTUAL_HEADS: Final = ("EFFECTIVE_SUCCESS", "EFFECTIVE_RPS", "ACTUAL_SUCCESS", "ACTUAL_RPS")

Table = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoutesStyle:
    """What to show; `actual` is also what retries made of it, `outbound` whether calls to others are
    shown.
    """

    actual: bool = False
    outbound: bool = False
    namespaces: bool = False
    paint: Paint = PLAIN


def render_tables(tables: Sequence[Table], *, style: RoutesStyle) -> str:
    """One for each thing; a line before each says whose it is, if there are several."""
    texts = []
    for table in tables:
        title = f"==> {name_of(table, namespaces=style.namespaces)} <==\n"
        body = _render_one(table["rows"], style=style)
        texts.append(f"{title if len(tables) > 1 else ''}{body}")
    return "\n\n".join(texts)


def as_json(tables: Sequence[Table], *, style: RoutesStyle) -> dict[str, list[dict[str, Any]]]:
    """Linkerd's JSON: the routes of each thing; null where there was no traffic."""
    return {
        name_of(table, namespaces=style.namespaces): [
            _json_row(row, style=style) for row in table["rows"]
        ]
        for table in tables
    }


def name_of(table: Table, *, namespaces: bool) -> str:
    """`deployment/web`; below its namespace where things of several are shown."""
    above = f"{table['namespace']}/" if namespaces and table["namespace"] else ""
    return f"{above}{table['type']}/{table['name']}"


def _render_one(rows: Sequence[Row], *, style: RoutesStyle) -> str:
    heads = (*(_ACTUAL_HEADS if style.actual else _HEADS), *_LATENCY_HEADS)
    columns = [Column("ROUTE", right=False), Column("SERVICE"), *map(Column, heads)]
    return render_table(columns, [printable_row(_cells(row, style=style)) for row in rows])


def _cells(row: Row, *, style: RoutesStyle) -> list[str | Cell]:
    stats = row["stats"]
    cells: list[str | Cell] = [row["route"], row["service"]]
    if stats is None:
        return [*cells, *[NOTHING] * (7 if style.actual else 5)]
    cells += _rate_cells(stats["success_rate"], stats["rps"], paint=style.paint)
    if style.actual:
        cells += _rate_cells(stats["actual_success_rate"], stats["actual_rps"], paint=style.paint)
    return [*cells, *(f"{int(stats[name])}ms" for name in _LATENCIES)]


def _rate_cells(success: float | None, rps: float | None, *, paint: Paint) -> list[str | Cell]:
    if success is None or rps is None:
        return [NOTHING, NOTHING]
    return [Cell(f"{success * 100:.2f}%", paint.red if success < 1 else None), f"{rps:.1f}rps"]


def _json_row(row: Row, *, style: RoutesStyle) -> dict[str, Any]:
    stats = row["stats"] or {}
    prefix = "effective_" if style.outbound else ""
    rates = {f"{prefix}success": stats.get("success_rate"), f"{prefix}rps": stats.get("rps")}
    if style.outbound:
        rates["actual_success"] = stats.get("actual_success_rate")
        rates["actual_rps"] = stats.get("actual_rps")
    latencies = {name: stats.get(name) for name in _LATENCIES}
    return {"route": row["route"], "authority": row["service"], **rates, **latencies}
