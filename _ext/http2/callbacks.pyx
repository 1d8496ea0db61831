# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Of each side, with the options that the limits ask for."""

from libc.stdint cimport UINT32_MAX
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.http2.memory cimport recycling_memory
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.received cimport hear_received
from linkerd2_py._ext.http2.sent cimport hear_sent

cdef enum:
    DEFLATE_TABLE = 4096         # ours never grows beyond it, whatever the peer offers
    SENT_HEADER_BYTES = 8388608  # the largest head that any limit lets in, and room for its encoding
    WHOLE_HEADS = 16             # of the size that is allowed: more of one are not worth staying in step for

cdef nghttp2_session_callbacks* callbacks = NULL


cdef int make_callbacks() except -1:
    global callbacks
    if nghttp2_session_callbacks_new(&callbacks) != 0:
        raise MemoryError
    hear_received(callbacks)
    hear_sent(callbacks)
    return 0


make_callbacks()


cdef nghttp2_option* options_of(Limits limits) except NULL:
    cdef nghttp2_option* option = NULL
    if nghttp2_option_new(&option) != 0:
        raise MemoryError
    nghttp2_option_set_no_auto_window_update(option, 1)
    nghttp2_option_set_no_closed_streams(option, 1)
    nghttp2_option_set_max_deflate_dynamic_table_size(option, DEFLATE_TABLE)
    nghttp2_option_set_max_outbound_ack(option, limits.control_queue)
    # Ours tells deadlines from attacks; this one does not.
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX)
    nghttp2_option_set_max_continuations(option, max(
        limits.continuation_frames, WHOLE_HEADS * limits.header_list_bytes // limits.max_frame_size,
    ))
    nghttp2_option_set_max_send_header_block_length(option, SENT_HEADER_BYTES)
    return option


cdef nghttp2_session* new_server(Http2Session session) except NULL:
    cdef nghttp2_option* option = options_of(session.limits)
    cdef nghttp2_session* h2 = NULL
    cdef int failed = nghttp2_session_server_new3(&h2, callbacks, <void*> session, option, recycling_memory())
    nghttp2_option_del(option)
    if failed:
        raise MemoryError
    return h2


cdef nghttp2_session* new_client(Http2Session session) except NULL:
    cdef nghttp2_option* option = options_of(session.limits)
    cdef nghttp2_session* h2 = NULL
    cdef int failed = nghttp2_session_client_new3(&h2, callbacks, <void*> session, option, recycling_memory())
    nghttp2_option_del(option)
    if failed:
        raise MemoryError
    return h2
