"""What proxies saw on one side, by route: tables and JSON of `stat-inbound`, `stat-outbound` and `authz
--stats`; the layouts are Linkerd's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from linkerd2_py.cli.render.paint import PLAIN, Paint
from linkerd2_py.cli.render.table import Cell, Column, printable_row, render_table

NOTHING: Final = "-"
_LATENCIES: Final = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
_RATES: Final = ("SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99")
_DEFAULT: Final = "[default]"
# Before the backends of a route, and before the last of them.
_BRANCH, _LAST, _ARROW = "├─", "└─", "─►"

Row = Mapping[str, Any]


def inbound_table(rows: Sequence[Row], *, paint: Paint = PLAIN) -> str:
    """A line for each route of each port."""
    left = ("NAME", "SERVER", "ROUTE", "TYPE")
    cells = [
        [
            row["name"],
            f"{_server(row['server'])}:{row['port']}",
            _route(row["route"]["name"], row["route"]["kind"]),
            _kind(row["route"]["kind"]),
            *_rates(row["stats"], paint=paint),
        ]
        for row in rows
    ]
    return _table(left, _RATES, cells)


def inbound_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Linkerd's JSON."""
    return [
        {
            "name": row["name"],
            "server": _server(row["server"]),
            "port": row["port"],
            "route": _route(row["route"]["name"], row["route"]["kind"]),
            "routeType": _kind(row["route"]["kind"]),
            "successesRate": row["stats"]["success_rate"],
            **_json_rates(row["stats"]),
        }
        for row in rows
    ]


def outbound_table(rows: Sequence[Row], *, paint: Paint = PLAIN) -> str:
    """A line for each route of each service, and below it one for each backend."""
    left = ("NAME", "SERVICE", "ROUTE", "TYPE", "BACKEND")
    cells = [cells for row in rows for cells in _outbound_cells(row, paint=paint)]
    return _table(left, (*_RATES, "TIMEOUTS", "RETRIES"), cells)


def outbound_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Linkerd's JSON: routes and backends in one list."""
    found = []
    for row in rows:
        named = {
            "name": row["name"],
            "service": row["service"],
            "port": row["port"],
            "route": _route_out(row),
            "routeType": _kind(row["route_kind"]),
        }
        own = {"backend": "", "backendPort": "", **_json_answered(row["stats"])}
        found.append({**named, **own, "retryRate": row["retry_rate"]})
        for backend in row["backends"]:
            at = {"backend": backend["name"], "backendPort": backend["port"]}
            found.append({**named, **at, **_json_answered(backend["stats"]), "retryRate": None})
    return found


def authz_table(rows: Sequence[Row], *, paint: Paint = PLAIN) -> str:
    """A line for each authorization of each route, and for what none of them let in."""
    cells: list[list[str | Cell]] = []
    for row in rows:
        refused = row["refused_rps"]
        cells.append(
            [
                row["route"]["name"],
                _named_server(row["server"]),
                _authorization(row["authorization"]),
                Cell(f"{refused:.1f}rps", paint.red if refused else None),
                *_rates(row["stats"], paint=paint, unit="rps"),
            ]
        )
    return _table(("ROUTE", "SERVER", "AUTHORIZATION"), ("UNAUTHORIZED", *_RATES), cells)


def authz_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Linkerd's JSON: what does not apply is not there."""
    return [
        {
            "route": row["route"]["name"],
            "server": _named_server(row["server"]),
            "authorization": _authorization(row["authorization"]),
            "unauthorized": row["refused_rps"],
            **_authz_stats(row["stats"]),
        }
        for row in rows
    ]


def _table(left: Sequence[str], right: Sequence[str], cells: Sequence[Sequence[str | Cell]]) -> str:
    columns = [*(Column(head, right=False) for head in left), *map(Column, right)]
    return render_table(columns, [printable_row(row) for row in cells])


def _server(server: Row) -> str:
    return _DEFAULT if server["kind"] == "default" else str(server["name"])


def _named_server(server: Row) -> str:
    return f"default:{server['name']}" if server["kind"] == "default" else str(server["name"])


def _authorization(found: Row) -> str:
    return f"{found['kind']}/{found['name']}" if found["kind"] else ""


def _route(name: str, kind: str) -> str:
    """Probes have no object either, but a name that says what they are."""
    return _DEFAULT if name == "default" or (kind == "default" and not name) else name


def _route_out(row: Row) -> str:
    """What no object says goes one way, whatever it is called."""
    return _DEFAULT if row["route_kind"] == "default" else str(row["route"])


def _kind(kind: str) -> str:
    return "" if kind == "default" else kind


def _rates(stats: Row | None, *, paint: Paint, unit: str = "") -> list[str | Cell]:
    if stats is None:
        return [NOTHING] * 5
    success, digits = stats["success_rate"], 1 if unit else 2
    return [
        Cell(f"{success * 100:.2f}%", paint.red if success < 1 else None),
        f"{stats['rps']:.{digits}f}{unit}",
        *(f"{int(stats[name])}ms" for name in _LATENCIES),
    ]


def _outbound_cells(row: Row, *, paint: Paint) -> Iterator[list[str | Cell]]:
    retries = row["retry_rate"]
    yield [
        row["name"],
        f"{row['service']}:{row['port']}",
        _route_out(row),
        _kind(row["route_kind"]),
        "",
        *_rates(row["stats"], paint=paint),
        _percent(row["stats"]["timeout_rate"]),
        NOTHING if retries is None else _percent(retries),
    ]
    for at, backend in enumerate(row["backends"], start=1):
        yield [
            *("", ""),
            _LAST if at == len(row["backends"]) else _BRANCH,
            _ARROW,
            f"{backend['name']}:{backend['port']}",
            *_rates(backend["stats"], paint=paint),
            _percent(backend["stats"]["timeout_rate"]),
            "",
        ]


def _percent(rate: float) -> str:
    return f"{rate * 100:.2f}%"


def _json_rates(stats: Row) -> dict[str, Any]:
    return {"rps": stats["rps"], **{f"latencyMsP{name[-2:]}": stats[name] for name in _LATENCIES}}


def _json_answered(stats: Row) -> dict[str, Any]:
    rates = {"successRate": stats["success_rate"], **_json_rates(stats)}
    return {**rates, "timeoutRate": stats["timeout_rate"]}


def _authz_stats(stats: Row | None) -> dict[str, Any]:
    if stats is None:
        return {}
    latencies = {name: stats[name] for name in _LATENCIES}
    return {"success": stats["success_rate"], "rps": stats["rps"], **latencies}
