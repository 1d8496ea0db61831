"""Numbers of the pool and the balancer; the defaults are linkerd2-proxy's outbound ones."""


cdef class PoolSettings:
    def __init__(
        self, *, decay_ns=10e9, default_rtt_ns=30e6, penalizes_failures=True,
        max_retry_after_ns=300_000_000_000, failfast_ns=3_000_000_000, queue_capacity=10_000,
        max_in_flight=100_000, connect_timeout_ns=1_000_000_000, backoff_min_ns=100_000_000,
        backoff_max_ns=60_000_000_000, backoff_jitter=0.1, http1_idle_ns=3_000_000_000,
        http1_max_idle=10_000, max_dials=128, http2_max_connections=16, socket=None, limits=None,
    ):
        self.decay_ns = decay_ns
        self.default_rtt_ns = default_rtt_ns
        self.penalizes_failures = penalizes_failures
        self.max_retry_after_ns = max_retry_after_ns
        self.failfast_ns = failfast_ns
        self.queue_capacity = queue_capacity
        self.max_in_flight = max_in_flight
        self.connect_timeout_ns = connect_timeout_ns
        self.backoff_min_ns = backoff_min_ns
        self.backoff_max_ns = backoff_max_ns
        self.backoff_jitter = backoff_jitter
        self.http1_idle_ns = http1_idle_ns
        self.http1_max_idle = http1_max_idle
        self.max_dials = max_dials
        self.http2_max_connections = http2_max_connections
        self.socket = SocketOptions() if socket is None else socket
        self.limits = Limits() if limits is None else limits
