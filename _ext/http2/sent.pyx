# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A body goes straight from its queue to the outbox. The rules stand in `callbacks`."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL
from linkerd2_py._ext.http2.half cimport QUEUE_LOW
from linkerd2_py._ext.http2.meter cimport EARNED_PER_FRAME, earn, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.session cimport Http2Session

cdef enum:
    FRAME_HEADER = 9
    # A body frame cut this short by the peer's window is a trick, not flow control.
    DRIBBLE_BYTES = 64


cdef ssize_t read_body(
    nghttp2_session* h2, int32_t id, uint8_t* room, size_t length, uint32_t* flags,
    nghttp2_data_source* source, void* user,
) noexcept:
    """Says how much follows; the bytes themselves go straight to the outbox in send_body_frame."""
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half = session.table.at(<uint64_t> source.ptr)
    cdef size_t n
    if half is None or half.aborted:
        return NGHTTP2_ERR_DEFERRED
    n = min(half.queue.size, length)
    if n == 0 and not half.out_ended:
        half.deferred = True
        return NGHTTP2_ERR_DEFERRED
    flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
    if n == half.queue.size and half.out_ended:
        flags[0] |= NGHTTP2_DATA_FLAG_EOF
        if half.trailers != NULL:
            flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
            nghttp2_submit_trailer(h2, id, half.trailers, half.trailer_count)
    elif (n < half.queue.size and n < DRIBBLE_BYTES
            and spend(&session.anomalies, EARNED_PER_FRAME + 1, session.loop.now)):
        # A window opened by a few bytes at a time makes us pay a frame for each.
        session.kill_code = NGHTTP2_ENHANCE_YOUR_CALM
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return <ssize_t> n


cdef int send_body_frame(nghttp2_session* h2, nghttp2_frame* frame, const uint8_t* header,
        size_t length, nghttp2_data_source* source, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half = session.table.at(<uint64_t> source.ptr)
    cdef char* room
    if session.over or session.transport is None or half is None:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    try:
        room = session.transport.reserve(FRAME_HEADER + length)
        memcpy(room, header, FRAME_HEADER)
        if length:
            half.dequeue(room + FRAME_HEADER, length)
        session.transport.commit(FRAME_HEADER + length)
        if half.told_full and half.queue.size <= QUEUE_LOW and not half.is_full(length):
            half.told_full = False
            session.owe(half)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef void body_provider(nghttp2_data_provider* provider, Http2Half half) noexcept:
    provider.source.ptr = <void*> half.key
    provider.read_callback = read_body


# ---- what was written

cdef int on_frame_send(nghttp2_session* h2, const nghttp2_frame* frame, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef int kind = frame.hd.type
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    try:
        if kind == NGHTTP2_HEADERS or kind == NGHTTP2_DATA:
            earn(&session.anomalies, EARNED_PER_FRAME)
            if kind == NGHTTP2_HEADERS or frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
                message_written(session, frame.hd.stream_id, frame.hd.flags & NGHTTP2_FLAG_END_STREAM)
        elif kind == NGHTTP2_RST_STREAM:
            session.on_reset_written(frame.hd.stream_id, session.half_of(frame.hd.stream_id))
        elif kind == NGHTTP2_GOAWAY and frame.goaway.error_code != NGHTTP2_NO_ERROR and not session.calmed:
            session.broken = True
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int message_written(Http2Session session, int32_t id, bint end) except -1:
    cdef Http2Half half = session.half_of(id)
    if half is None:
        return 0
    half.head_written = True
    if end:
        half.out_sent = True
        return session.on_end_written(half)
    return 0


cdef int on_frame_not_send(nghttp2_session* h2, const nghttp2_frame* frame, int error_code,
        void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half
    if session.over or frame.hd.type != NGHTTP2_HEADERS:
        return 0
    # A head that cannot be encoded within bounds: without this the stream would wait for ever.
    half = session.half_of(frame.hd.stream_id)
    if half is not None and half.head_written and not half.aborted:
        try:
            session.fail_half(half, FAULT_LOCAL, NGHTTP2_INTERNAL_ERROR)
        except BaseException as error:
            session.failure = error
            return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int hear_sent(nghttp2_session_callbacks* callbacks) noexcept:
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send)
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body_frame)
    return 0
