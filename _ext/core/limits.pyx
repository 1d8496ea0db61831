# cython: language_level=3
"""The numbers that bound what a peer may make us hold; checked once, read-only afterwards."""

# One hour: longer than any sane timer, and far from overflow when added to a clock.
cdef int64_t LONGEST_NS = 3_600_000_000_000

# What each number may be. The lower bounds keep a codec able to make progress at all.
BOUNDS = {
    "head_bytes": (256, 1 << 20),
    "head_fields": (1, 10_000),
    "request_line_bytes": (64, 1 << 20),
    "chunk_line_bytes": (3, 1 << 16),
    "chunk_extension_bytes": (0, 1 << 20),
    "trailer_bytes": (2, 1 << 20),
    "interim_responses": (0, 10_000),
    "head_timeout_ns": (0, LONGEST_NS),
    "keepalive_idle_ns": (0, LONGEST_NS),
    "half_close_ns": (1_000_000, LONGEST_NS),
    "max_concurrent_streams": (1, (1 << 31) - 1),
    "initial_stream_window": (1, (1 << 31) - 1),
    "initial_connection_window": (65_535, (1 << 31) - 1),
    "max_frame_size": (16_384, (1 << 24) - 1),
    "header_list_bytes": (256, 1 << 20),
    "header_fields": (1, 10_000),
    "continuation_frames": (0, 10_000),
    "reset_burst": (1, 1_000_000),
    "reset_rate": (1, 1_000_000),
    "pending_accept_resets": (0, 1_000_000),
    "anomaly_budget": (1, 1_000_000),
    "control_queue": (1, 1_000_000),
    "stalled_send_ns": (0, LONGEST_NS),
    "ping_interval_ns": (0, LONGEST_NS),
    "ping_timeout_ns": (1, LONGEST_NS),
}


cdef class Limits:
    """Limits(**numbers): every number has the documented default; one out of its bounds raises ValueError."""

    def __init__(
        self,
        *,
        head_bytes=65_536,
        head_fields=100,
        request_line_bytes=32_768,
        chunk_line_bytes=256,
        chunk_extension_bytes=16_384,
        trailer_bytes=16_384,
        interim_responses=100,
        head_timeout_ns=15_000_000_000,
        keepalive_idle_ns=0,
        half_close_ns=5_000_000_000,
        max_concurrent_streams=256,
        initial_stream_window=65_535,
        initial_connection_window=1_048_576,
        max_frame_size=16_384,
        header_list_bytes=65_536,
        header_fields=100,
        continuation_frames=8,
        reset_burst=1_000,
        reset_rate=33,
        pending_accept_resets=0,
        anomaly_budget=100,
        control_queue=1_000,
        stalled_send_ns=3_600_000_000_000,
        ping_interval_ns=10_000_000_000,
        ping_timeout_ns=3_000_000_000,
    ):
        self.head_bytes = within("head_bytes", head_bytes)
        self.head_fields = within("head_fields", head_fields)
        self.request_line_bytes = within("request_line_bytes", request_line_bytes)
        self.chunk_line_bytes = within("chunk_line_bytes", chunk_line_bytes)
        self.chunk_extension_bytes = within("chunk_extension_bytes", chunk_extension_bytes)
        self.trailer_bytes = within("trailer_bytes", trailer_bytes)
        self.interim_responses = within("interim_responses", interim_responses)
        self.head_timeout_ns = within("head_timeout_ns", head_timeout_ns)
        self.keepalive_idle_ns = within("keepalive_idle_ns", keepalive_idle_ns)
        self.half_close_ns = within("half_close_ns", half_close_ns)
        self.max_concurrent_streams = within("max_concurrent_streams", max_concurrent_streams)
        self.initial_stream_window = within("initial_stream_window", initial_stream_window)
        self.initial_connection_window = within("initial_connection_window", initial_connection_window)
        self.max_frame_size = within("max_frame_size", max_frame_size)
        self.header_list_bytes = within("header_list_bytes", header_list_bytes)
        self.header_fields = within("header_fields", header_fields)
        self.continuation_frames = within("continuation_frames", continuation_frames)
        self.reset_burst = within("reset_burst", reset_burst)
        self.reset_rate = within("reset_rate", reset_rate)
        self.pending_accept_resets = within("pending_accept_resets", pending_accept_resets)
        self.anomaly_budget = within("anomaly_budget", anomaly_budget)
        self.control_queue = within("control_queue", control_queue)
        self.stalled_send_ns = within("stalled_send_ns", stalled_send_ns)
        self.ping_interval_ns = within("ping_interval_ns", ping_interval_ns)
        self.ping_timeout_ns = within("ping_timeout_ns", ping_timeout_ns)


cdef object within(str name, object number):
    low, high = BOUNDS[name]
    if not low <= number <= high:
        raise ValueError(f"limit {name} must be between {low} and {high}, not {number}")
    return number
