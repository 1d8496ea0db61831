# Numbers that bound what peers may make us hold. Sizes in bytes, times in nanoseconds.

from typing import final

BOUNDS: dict[str, tuple[int, int]]

@final
class Limits:
    # Keyword only; every number has the documented default. Out of bounds raises ValueError.

    def __init__(
        self,
        *,
        head_bytes: int = ...,
        head_fields: int = ...,
        request_line_bytes: int = ...,
        chunk_line_bytes: int = ...,
        chunk_extension_bytes: int = ...,
        trailer_bytes: int = ...,
        interim_responses: int = ...,
        head_timeout_ns: int = ...,
        keepalive_idle_ns: int = ...,
        half_close_ns: int = ...,
        max_concurrent_streams: int = ...,
        initial_stream_window: int = ...,
        initial_connection_window: int = ...,
        max_frame_size: int = ...,
        header_list_bytes: int = ...,
        header_fields: int = ...,
        continuation_frames: int = ...,
        reset_burst: int = ...,
        reset_rate: int = ...,
        pending_accept_resets: int = ...,
        anomaly_budget: int = ...,
        control_queue: int = ...,
        stalled_send_ns: int = ...,
        ping_interval_ns: int = ...,
        ping_timeout_ns: int = ...,
    ) -> None: ...
    @property
    def head_bytes(self) -> int: ...
    @property
    def head_fields(self) -> int: ...
    @property
    def request_line_bytes(self) -> int: ...
    @property
    def chunk_line_bytes(self) -> int: ...
    @property
    def chunk_extension_bytes(self) -> int: ...
    @property
    def trailer_bytes(self) -> int: ...
    @property
    def interim_responses(self) -> int: ...
    @property
    def head_timeout_ns(self) -> int: ...
    @property
    def keepalive_idle_ns(self) -> int: ...
    @property
    def half_close_ns(self) -> int: ...
    @property
    def max_concurrent_streams(self) -> int: ...
    @property
    def initial_stream_window(self) -> int: ...
    @property
    def initial_connection_window(self) -> int: ...
    @property
    def max_frame_size(self) -> int: ...
    @property
    def header_list_bytes(self) -> int: ...
    @property
    def header_fields(self) -> int: ...
    @property
    def continuation_frames(self) -> int: ...
    @property
    def reset_burst(self) -> int: ...
    @property
    def reset_rate(self) -> int: ...
    @property
    def pending_accept_resets(self) -> int: ...
    @property
    def anomaly_budget(self) -> int: ...
    @property
    def control_queue(self) -> int: ...
    @property
    def stalled_send_ns(self) -> int: ...
    @property
    def ping_interval_ns(self) -> int: ...
    @property
    def ping_timeout_ns(self) -> int: ...
