from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import SocketOptions

class PoolSettings:
    """How connections to endpoints are made, kept and given up. Durations in nanoseconds; defaults are
    Linkerd's outbound ones."""

    decay_ns: float
    default_rtt_ns: float
    penalizes_failures: bool
    max_retry_after_ns: int
    failfast_ns: int
    queue_capacity: int
    max_in_flight: int
    connect_timeout_ns: int
    backoff_min_ns: int
    backoff_max_ns: int
    backoff_jitter: float
    http1_idle_ns: int
    http1_max_idle: int
    max_dials: int
    http2_max_connections: int
    socket: SocketOptions
    limits: Limits

    def __init__(
        self,
        *,
        decay_ns: float = ...,
        default_rtt_ns: float = ...,
        penalizes_failures: bool = ...,
        max_retry_after_ns: int = ...,
        failfast_ns: int = ...,
        queue_capacity: int = ...,
        max_in_flight: int = ...,
        connect_timeout_ns: int = ...,
        backoff_min_ns: int = ...,
        backoff_max_ns: int = ...,
        backoff_jitter: float = ...,
        http1_idle_ns: int = ...,
        http1_max_idle: int = ...,
        max_dials: int = ...,
        http2_max_connections: int = ...,
        socket: SocketOptions | None = ...,
        limits: Limits | None = ...,
    ) -> None: ...
