# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Frames of the other side become reports to the peers of their streams. The rules stand in `callbacks`."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from linkerd2_py._ext.core.fault cimport FAULT_PROTOCOL
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.http2.block cimport COLLECTED_BOMB, Block, Collected, drop_block, take_block
from linkerd2_py._ext.http2.half cimport FIRST_WINDOW, Http2Half
from linkerd2_py._ext.http2.meter cimport EARNED_PER_FRAME, earn, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.session cimport Http2Session

cdef enum:
    # From here on libnghttp2 would announce what was taken, too: the first grant costs no frame more.
    WIDE_FROM = FIRST_WINDOW // 2


cdef int on_begin_frame(nghttp2_session* h2, const nghttp2_frame_hd* frame, void* user) noexcept:
    return begin_head(h2, frame, user) if frame.type == NGHTTP2_HEADERS else 0


cdef int begin_head(nghttp2_session* h2, const nghttp2_frame_hd* frame, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if not session.serves:
        return 0
    if (frame.stream_id == session.opened + 2 and not session.calmed
            and nghttp2_session_get_last_proc_stream_id(h2) == session.opened):
        # The next stream after one that was taken: what nearly every client sends.
        session.opened = frame.stream_id
        return 0
    try:
        session.on_client_head(frame.stream_id)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return NGHTTP2_ERR_CALLBACK_FAILURE if session.over else 0


cdef int on_begin_headers(nghttp2_session* h2, const nghttp2_frame* frame, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if frame.hd.type != NGHTTP2_HEADERS:
        return 0
    try:
        begin_block(session, frame)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int begin_block(Http2Session session, const nghttp2_frame* frame) except -1:
    cdef Http2Half half
    drop_block(session.block)
    session.block = None
    session.block_half = None
    if frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        session.block_half = session.half_of(frame.hd.stream_id)
    elif session.calmed:
        # Our GOAWAY, which closes this stream, is on its way.
        return 0
    else:
        half = session.block_half = session.enter(session.make_half(), frame.hd.stream_id)
        half.head_written = True
        half.opened_at = session.loop.now
        half.read = session.reads
        nghttp2_session_set_stream_user_data(session.h2, frame.hd.stream_id, <void*> half.key)
        earn(&session.anomalies, EARNED_PER_FRAME)
    session.block = take_block()
    return 0


cdef int on_header(nghttp2_session* h2, const nghttp2_frame* frame, nghttp2_rcbuf* name,
        nghttp2_rcbuf* value, uint8_t flags, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef Collected collected
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if session.block is None:
        return 0
    if session.meter.scan != NULL:
        collected = session.block.collect_spanning(session.meter.scan, name, value, flags, session.limits)
    else:
        collected = session.block.collect(name, value, flags, session.limits)
    return refuse_block(session) if collected == COLLECTED_BOMB else 0


cdef int refuse_block(Http2Session session) noexcept:
    """The head ends its stream.

    libnghttp2 decodes the rest of it in silence, so that the connection stays in step.
    """
    cdef Http2Half half = session.block_half
    try:
        if half is not None and half.session is session and not half.aborted:
            session.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_invalid_header(nghttp2_session* h2, const nghttp2_frame* frame, nghttp2_rcbuf* name,
        nghttp2_rcbuf* value, uint8_t flags, void* user) noexcept:
    # Left alone, libnghttp2 would drop the field and let the message pass.
    nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_PROTOCOL_ERROR)
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_frame_recv(nghttp2_session* h2, const nghttp2_frame* frame, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    try:
        take_frame(session, frame)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return NGHTTP2_ERR_CALLBACK_FAILURE if session.over else 0


cdef int take_frame(Http2Session session, const nghttp2_frame* frame) except -1:
    cdef int kind = frame.hd.type
    cdef bint end = frame.hd.flags & NGHTTP2_FLAG_END_STREAM
    if kind == NGHTTP2_HEADERS:
        return take_headers(session, frame.headers.cat, end)
    if kind == NGHTTP2_DATA:
        if end:
            return take_end(session, frame.hd.stream_id)
        if (frame.hd.length == frame.data.padlen and frame.hd.length
                and spend(&session.anomalies, 1, session.loop.now)):
            return session.kill(NGHTTP2_ENHANCE_YOUR_CALM)
        return 0
    if kind == NGHTTP2_SETTINGS and not frame.hd.flags & NGHTTP2_FLAG_ACK:
        if not session.settings_seen:
            session.settings_seen = True
            session.start_alarm()
        session.slot_due = True
        return 0
    if kind == NGHTTP2_PING and frame.hd.flags & NGHTTP2_FLAG_ACK:
        if session.awaiting_pong:
            session.awaiting_pong = False
            session.start_alarm()
        return session.on_pong(frame.ping.opaque_data)
    if kind == NGHTTP2_RST_STREAM:
        return session.on_reset(session.half_of(frame.hd.stream_id))
    if kind == NGHTTP2_GOAWAY:
        return session.on_goaway(frame.goaway.last_stream_id, frame.goaway.error_code)
    return 0


cdef int take_headers(Http2Session session, int category, bint end) except -1:
    cdef Http2Half half = session.block_half
    cdef Block block = session.block
    session.block = None
    session.block_half = None
    try:
        if half is None or half.session is not session or half.aborted:
            return 0
        if (session.meter.scan != NULL
                and block.finish_long(session.meter.scan, session.limits) == COLLECTED_BOMB):
            return session.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
        session.on_block(half, block, category, end)
    finally:
        # A request's block stays with its half.
        if half is None or half.block is not block:
            drop_block(block)
    return 0


cdef int take_end(Http2Session session, int32_t id) except -1:
    cdef Http2Half half = session.half_of(id)
    cdef Peer peer
    if half is None or half.aborted:
        return 0
    half.in_ended = True
    peer = half.peer
    if peer is not None:
        half.report_body(peer, NULL, 0, True)
    return half.settle()


cdef int on_data_chunk(nghttp2_session* h2, uint8_t flags, int32_t id, const uint8_t* p, size_t n,
        void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half
    cdef Peer peer
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    # The connection's credit goes back at once: a stalled stream holds at most its own window, and no
    # other stream's.
    nghttp2_session_consume_connection(h2, n)
    half = session.half_of(id)
    if half is None or half.aborted:
        return 0
    peer = half.peer
    if peer is None:
        return 0
    half.withheld += n
    try:
        half.report_body(peer, <const char*> p, n, False)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    if not half.held and half.withheld and half.session is session:
        if half.narrow and not flags & NGHTTP2_FLAG_END_STREAM:
            widen(session, half)
        nghttp2_session_consume_stream(h2, id, half.withheld)
        half.withheld = 0
    return 0


cdef int widen(Http2Session session, Http2Half half) noexcept:
    """What the first window brought was taken: from now on the stream has the configured one."""
    if nghttp2_session_get_local_settings(session.h2, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) != FIRST_WINDOW:
        # libnghttp2 counts with the window that was there before our SETTINGS until they are acknowledged.
        return 0
    if nghttp2_session_get_stream_effective_recv_data_length(session.h2, half.id) < WIDE_FROM:
        return 0
    half.narrow = False
    return nghttp2_session_set_local_window_size(session.h2, NGHTTP2_FLAG_NONE, half.id,
        <int32_t> session.limits.initial_stream_window)


cdef int on_stream_close(nghttp2_session* h2, int32_t id, uint32_t code, void* user) noexcept:
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half
    if session.over:
        return NGHTTP2_ERR_CALLBACK_FAILURE
    half = session.half_of(id)
    if half is None:
        return 0
    try:
        session.close_half(half, code)
    except BaseException as error:
        session.failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int hear_received(nghttp2_session_callbacks* callbacks) noexcept:
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame)
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header)
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk)
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close)
    return 0
