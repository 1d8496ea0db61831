"""Questions that several dashboards ask: success, requests and latency of some series, and their
connections.
"""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.observe.dashboards.language import Panel, Query, Row

WINDOW: Final = "[$__rate_interval]"
NOT_ADMIN: Final = 'target_port!="4191"'
"""What the administration of a proxy is asked is no traffic of the workload."""
_RED_TO_GREEN: Final = (("red", None), ("orange", 0.95), ("green", 0.99))
_QUANTILES: Final = (0.5, 0.95, 0.99)


def golden(
    series: str, *, by: str = "", legend: str = "", prefix: str = "", needs: str = ""
) -> tuple[Panel, ...]:
    """Three panels of the requests that are selected, by labels."""
    return (
        Panel(
            "Success rate",
            [Query(success(series, by=by, prefix=prefix), legend)],
            "percentunit",
            most=1,
            needs=needs,
        ),
        Panel("Requests", [Query(requests(series, by=by, prefix=prefix), legend)], "reqps", needs=needs),
        Panel("Latency", _latencies(series, by=by, legend=legend, prefix=prefix), "ms", needs=needs),
    )  # fmt: skip


def success(series: str, *, by: str = "", prefix: str = "") -> str:
    """Which share of responses was a success; 0 where none was, nothing where there was none."""
    total = _rate(f"{prefix}response_total", series, by=by)
    wins = _rate(f"{prefix}response_total", f'classification="success", {series}', by=by)
    return f"({wins} or 0 * {total}) / ({total} > 0)"


def requests(series: str, *, by: str = "", prefix: str = "") -> str:
    """How many a second."""
    return _rate(f"{prefix}request_total", series, by=by)


def latency(quantile: float, series: str, *, by: str = "", prefix: str = "") -> str:
    """In milliseconds."""
    family = f"{prefix}response_latency_ms_bucket"
    inner = _rate(family, series, by=f"le, {by}" if by else "le")
    return f"histogram_quantile({quantile}, {inner})"


def secured(series: str) -> str:
    """Which share of requests came by mutual TLS."""
    over_tls = _rate("request_total", f'tls="true", {series}')
    return f"({over_tls} or vector(0)) / ({_rate('request_total', series)} > 0)"


def _rate(family: str, series: str, *, by: str = "") -> str:
    summed = f"sum(rate({family}{{{series}}}{WINDOW}))"
    return f"{summed} by ({by})" if by else summed


def _latencies(series: str, *, by: str, legend: str, prefix: str) -> list[Query]:
    return [
        Query(
            latency(quantile, series, by=by, prefix=prefix),
            f"p{quantile * 100:g} {legend}".strip(),
        )
        for quantile in (_QUANTILES if not by else (0.95,))
    ]


def figures(series: str) -> tuple[Panel, ...]:
    """The same as three numbers, and how much is secured."""
    return (
        Panel(
            "Success rate",
            [Query(success(series))],
            "percentunit",
            "stat",
            6,
            colours=_RED_TO_GREEN,
        ),
        Panel("Requests", [Query(requests(series))], "reqps", "stat", 6),
        Panel("Latency p95", [Query(latency(0.95, series))], "ms", "stat", 6),
        Panel("Secured", [Query(secured(series))], "percentunit", "stat", 6),
    )


def connections(own: str, *, direction: str, peer: str) -> Row:
    """Of TCP, at one side of the proxies that are selected."""
    series = f'direction="{direction}", peer="{peer}", {own}'
    ended = (
        "sum(rate(tcp_close_total{" + f'errno!="", {series}' + "}" + WINDOW + ")) by (pod, errno)"
    )
    durations = f"sum(rate(tcp_connection_duration_ms_bucket{{{series}}}{WINDOW})) by (le)"
    return Row(
        f"{direction.capitalize()} connections",
        (
            Panel("Open", [Query(f"sum(tcp_open_connections{{{series}}}) by (pod)", "{{pod}}")]),
            Panel(
                "Bytes",
                [
                    Query(_rate("tcp_read_bytes_total", series), "read"),
                    Query(_rate("tcp_write_bytes_total", series), "written"),
                ],
                "Bps",
            ),
            Panel(
                "Ended by an error",
                [Query(ended, "{{pod}} {{errno}}")],
                "ops",
                needs="connections that end by an error",
            ),
            Panel(
                "Duration, p95",
                [Query(f"histogram_quantile(0.95, {durations})")],
                "ms",
                needs="connections that have ended",
            ),
        ),
        collapsed=True,
    )
