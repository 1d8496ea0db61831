"""The closed set of metrics that questions are about, by the names that proxies expose them with."""

from typing import Final

RESPONSES: Final = "response_total"
LATENCIES: Final = "response_latency_ms_bucket"
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
        OPEN_CONNECTIONS,
        READ_BYTES,
        WRITTEN_BYTES,
        STARTED,
        BUILD,
        CERTIFICATE_ENDS,
    }
)
