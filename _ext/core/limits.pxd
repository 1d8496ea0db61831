"""Numbers that bound what peers may make us hold, with their defaults.

Made from Python with keyword arguments, then read-only.
"""

from libc.stdint cimport int64_t, uint32_t

cdef class Limits:
    # HTTP/1
    cdef readonly int head_bytes            # 64 KiB: request/status line + fields
    cdef readonly int head_fields           # 100
    cdef readonly int request_line_bytes    # 32 KiB
    cdef readonly int chunk_line_bytes      # 256
    cdef readonly int chunk_extension_bytes # 16 KiB, of a whole message
    cdef readonly int trailer_bytes         # 16 KiB
    cdef readonly int interim_responses     # 100
    # 15 s from the first byte of a head (and from accept for the first)
    cdef readonly int64_t head_timeout_ns
    # 0: an idle connection of a client is never closed by us, as in Linkerd.
    cdef readonly int64_t keepalive_idle_ns
    # 5 s without a byte sent to it; then a client that ended its side is gone.
    cdef readonly int64_t half_close_ns
    # HTTP/2
    cdef readonly uint32_t max_concurrent_streams      # 256: what we allow clients
    cdef readonly uint32_t initial_stream_window       # 65535: what we allow a peer to send on one stream
    cdef readonly uint32_t initial_connection_window   # 1 MiB
    cdef readonly uint32_t max_frame_size              # 16384
    # 64 KiB decoded, with 3 for each field: about what HTTP/1 needs for the same head.
    cdef readonly uint32_t header_list_bytes
    # 100; all crumbs of the cookie are one, pseudo-fields and l5d-* of proxies none.
    cdef readonly uint32_t header_fields
    cdef readonly uint32_t continuation_frames         # 8 at least, and enough for 16 times header_list_bytes
    # 1000: what requests that were given up at once may cost before the client is sent away.
    cdef readonly uint32_t reset_burst
    cdef readonly uint32_t reset_rate                  # 33: how much of that comes back in a second
    # 0 = any: requests that one read may both bring and take back.
    cdef readonly uint32_t pending_accept_resets
    # 100 (empty DATA, PRIORITY, unknown frames, SETTINGS, PING...) per 10 s.
    cdef readonly uint32_t anomaly_budget
    cdef readonly uint32_t control_queue               # 1000 unsent replies; more end the connection
    # Both: an hour in which a client takes nothing of what waits for it; then its exchange (HTTP/2: stream,
    # or connection) is reset. 0 = never
    cdef readonly int64_t stalled_send_ns
    cdef readonly int64_t ping_interval_ns             # 10 s of silence, towards meshed endpoints; 0 = off
    cdef readonly int64_t ping_timeout_ns              # 3 s
