"""The closed set of metrics that questions are about, by the names that proxies expose them with."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class RouteFamilies(NamedTuple):
    """What an outbound proxy counts of routes and of their backends; durations are in seconds."""

    statuses: str
    durations: str
    retries: str
    backend_statuses: str
    backend_durations: str


def _route_families(protocol: str) -> RouteFamilies:
    route = f"outbound_{protocol}_route"
    return RouteFamilies(
        f"{route}_request_statuses_total",
        f"{route}_request_duration_seconds_bucket",
        f"{route}_retry_requests_total",
        f"{route}_backend_response_statuses_total",
        f"{route}_backend_response_duration_seconds_bucket",
    )


RESPONSES: Final = "response_total"
LATENCIES: Final = "response_latency_ms_bucket"
ROUTE_RESPONSES: Final = "route_response_total"
ROUTE_ACTUAL_RESPONSES: Final = "route_actual_response_total"
ROUTE_LATENCIES: Final = "route_response_latency_ms_bucket"
ROUTES_OUT: Final[Mapping[str, RouteFamilies]] = {
    protocol: _route_families(protocol) for protocol in ("http", "grpc")
}
DENIED: Final = "inbound_http_authz_deny_total"
TCP_DENIED: Final = "inbound_tcp_authz_deny_total"
OPENED: Final = "tcp_open_total"
DETECTED: Final = "outbound_tcp_detect_http_results_total"
RESOLVED: Final = "control_dns_resolutions_total"
CLOCKS: Final = "process_clock_time_seconds"
OPEN_CONNECTIONS: Final = "tcp_open_connections"
READ_BYTES: Final = "tcp_read_bytes_total"
WRITTEN_BYTES: Final = "tcp_write_bytes_total"
STARTED: Final = "process_start_time_seconds"
BUILD: Final = "proxy_build_info"
CERTIFICATE_ENDS: Final = "control_identity_cert_expiration_timestamp_seconds"

FAMILIES: Final = frozenset(
    {
        RESPONSES,
        LATENCIES,
        ROUTE_RESPONSES,
        ROUTE_ACTUAL_RESPONSES,
        ROUTE_LATENCIES,
        DENIED,
        TCP_DENIED,
        OPENED,
        DETECTED,
        RESOLVED,
        CLOCKS,
        *(family for families in ROUTES_OUT.values() for family in families),
        OPEN_CONNECTIONS,
        READ_BYTES,
        WRITTEN_BYTES,
        STARTED,
        BUILD,
        CERTIFICATE_ENDS,
    }
)
