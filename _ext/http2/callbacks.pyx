# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What libnghttp2 calls, and the sessions it calls it for.

`user` is our session: it lives as long as the libnghttp2 session it owns, and holds itself while inside
a call. An exception is kept and raised again behind the call; a session that is over takes nothing more.
"""

from libc.stdint cimport UINT32_MAX, int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FAULT_PROTOCOL
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.http2.client cimport FIRST_WINDOW
from linkerd2_py._ext.http2.fields cimport COLLECTED_BOMB, Block, Collected, drop_block, take_block
from linkerd2_py._ext.http2.memory cimport recycling_memory
from linkerd2_py._ext.http2.meter cimport earn, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.session cimport QUEUE_LOW, Http2Half, Http2Session

cdef enum:
    DEFLATE_TABLE = 4096         # ours never grows beyond it, whatever the peer offers
    SENT_HEADER_BYTES = 8388608  # the largest head that any limit lets in, and room for its encoding
    WHOLE_HEADS = 16             # of the size that is allowed: more of one are not worth staying in step for
    EARNED_PER_FRAME = 4         # cheap frames (window updates, pings) that one frame of ours may cause
    FRAME_HEADER = 9
    # From here on libnghttp2 would announce what was taken, too: the first grant costs no frame more.
    WIDE_FROM = FIRST_WINDOW // 2
    # A body frame cut this short by the peer's window is a trick, not flow control.
    DRIBBLE_BYTES = 64


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
        nghttp2_session_set_stream_user_data(session.h2, frame.hd.stream_id, <void*> half.key())
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
    """The head ends its stream; libnghttp2 decodes the rest of it in silence, so that the connection
    stays in step."""
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


cdef ssize_t read_body(
    nghttp2_session* h2, int32_t id, uint8_t* room, size_t length, uint32_t* flags,
    nghttp2_data_source* source, void* user,
) noexcept:
    """Says how much follows; the bytes themselves go straight to the outbox in send_body_frame."""
    cdef Http2Session session = <Http2Session> user
    cdef Http2Half half = session.at(<uint64_t> source.ptr)
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
    cdef Http2Half half = session.at(<uint64_t> source.ptr)
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


# ---- making sessions

cdef nghttp2_session_callbacks* callbacks = NULL


cdef int make_callbacks() except -1:
    global callbacks
    if nghttp2_session_callbacks_new(&callbacks) != 0:
        raise MemoryError
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame)
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header)
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk)
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close)
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send)
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body_frame)
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


cdef void body_provider(nghttp2_data_provider* provider, Http2Half half) noexcept:
    provider.source.ptr = <void*> half.key()
    provider.read_callback = read_body
