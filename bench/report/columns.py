"""Figures as people read them: a heading and a number format for each key."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """`show` makes text of a figure."""

    heading: str
    show: Callable[[float], str]


def significant(value: float) -> str:
    """Three digits that mean something: 0.00123, 4.56, 78.9, 12345."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2g}"


def _mib(kib: float) -> str:
    return f"{kib / 1024:.1f}"


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.3g} %"


COLUMNS = {
    "exchanges_per_s": Column("exchanges/s", significant),
    "messages_per_s": Column("messages/s", significant),
    "rate_per_s": Column("asked/s", significant),
    "mb_per_s": Column("MB/s", significant),
    "cpu_us_per_exchange": Column("CPU µs", significant),
    "added_us_per_exchange": Column("added CPU µs", significant),
    "plain_us_per_exchange": Column("plain CPU µs", significant),
    "added_percent": Column("added CPU %", significant),
    "told_per_s": Column("told/s", significant),
    "added_us_per_told": Column("added CPU µs/told", significant),
    "added_ms_per_gb": Column("added CPU ms/GB", significant),
    "plain_ms_per_gb": Column("plain CPU ms/GB", significant),
    "cpu_us_per_message": Column("CPU µs/message", significant),
    "cpu_ms_per_gb": Column("CPU ms/GB", significant),
    "load_cpu_us_per_exchange": Column("load's CPU µs", significant),
    "p50_us": Column("p50 µs", significant),
    "p90_us": Column("p90 µs", significant),
    "p99_us": Column("p99 µs", significant),
    "p999_us": Column("p99.9 µs", significant),
    "max_us": Column("longest µs", significant),
    "stall_us": Column("loop stall µs", significant),
    "resumed": Column("resumed", _percent),
    "share_slow": Column("to the slow one", _percent),
    "rss_kib": Column("RSS MiB", _mib),
    "private_kib": Column("private MiB", _mib),
    "rss_1k_kib": Column("RSS 1k MiB", _mib),
    "rss_3k_kib": Column("RSS 3k MiB", _mib),
    "rss_9k_kib": Column("RSS 9k MiB", _mib),
    "private_1k_kib": Column("private 1k MiB", _mib),
    "private_3k_kib": Column("private 3k MiB", _mib),
    "private_9k_kib": Column("private 9k MiB", _mib),
    "kib_per_connection": Column("KiB/connection", significant),
    "rss_kib_per_connection": Column("RSS KiB/connection", significant),
    "render_ms": Column("scrape ms", significant),
    "scrape_bytes": Column("scrape bytes", significant),
    "scrapes": Column("scrapes", significant),
    "series": Column("series", significant),
    "start_ms": Column("start ms", significant),
    "get_cpu_ms": Column("Get CPU ms", significant),
    "profile_cpu_ms": Column("GetProfile CPU ms", significant),
    "rollout_cpu_ms": Column("rollout CPU ms", significant),
    "stat_cpu_ms": Column("stat CPU ms", significant),
    "stall_ms": Column("longest stall ms", significant),
    "open_us": Column("opened CPU µs", significant),
    "update_us": Column("update CPU µs", significant),
    "stream_bytes": Column("bytes/stream", significant),
    "grpc_open_us": Column("gRPC opened CPU µs", significant),
    "grpc_update_us": Column("gRPC update CPU µs", significant),
    "grpc_reached_ms": Column("gRPC reached ms", significant),
    "grpc_alone_update_us": Column("gRPC alone CPU µs/update", significant),
    "grpc_kib_per_connection": Column("gRPC KiB/connection", significant),
    "relayed_few_destination_ms": Column("few relayed: destination CPU ms", significant),
    "relayed_destination_ms": Column("relayed: destination CPU ms", significant),
    "relayed_update_us": Column("relayed CPU µs/update", significant),
    "synced_s": Column("synced s", significant),
    "synced_rss_mib": Column("synced RSS MiB", significant),
}


def column(key: str) -> Column:
    """For any figure; one that is not known is headed by its key."""
    return COLUMNS.get(key) or Column(key, significant)
