"""The part of libnghttp2 (1.52 or a later 1.x) that the HTTP/2 codec uses, under the library's names."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef extern from "<nghttp2/nghttp2.h>":
    ctypedef struct nghttp2_session:
        pass
    ctypedef struct nghttp2_option:
        pass
    ctypedef struct nghttp2_session_callbacks:
        pass
    ctypedef struct nghttp2_rcbuf:
        pass
    ctypedef struct nghttp2_priority_spec:
        pass

    ctypedef struct nghttp2_vec:
        uint8_t* base
        size_t len

    ctypedef struct nghttp2_nv:
        uint8_t* name
        uint8_t* value
        size_t namelen
        size_t valuelen
        uint8_t flags

    ctypedef struct nghttp2_frame_hd:
        size_t length
        int32_t stream_id
        uint8_t type
        uint8_t flags

    ctypedef enum nghttp2_headers_category:
        NGHTTP2_HCAT_REQUEST

    ctypedef struct nghttp2_data:
        nghttp2_frame_hd hd
        size_t padlen

    ctypedef struct nghttp2_headers:
        nghttp2_frame_hd hd
        nghttp2_headers_category cat

    ctypedef struct nghttp2_rst_stream:
        nghttp2_frame_hd hd
        uint32_t error_code

    ctypedef struct nghttp2_ping:
        nghttp2_frame_hd hd
        uint8_t opaque_data[8]

    ctypedef struct nghttp2_goaway:
        nghttp2_frame_hd hd
        int32_t last_stream_id
        uint32_t error_code

    ctypedef union nghttp2_frame:
        nghttp2_frame_hd hd
        nghttp2_data data
        nghttp2_headers headers
        nghttp2_rst_stream rst_stream
        nghttp2_ping ping
        nghttp2_goaway goaway

    ctypedef struct nghttp2_settings_entry:
        int32_t settings_id
        uint32_t value

    ctypedef union nghttp2_data_source:
        int fd
        void* ptr

    ctypedef ssize_t (*nghttp2_data_source_read_callback)(
        nghttp2_session* session, int32_t stream_id, uint8_t* buf, size_t length, uint32_t* data_flags,
        nghttp2_data_source* source, void* user_data) noexcept

    ctypedef struct nghttp2_data_provider:
        nghttp2_data_source source
        nghttp2_data_source_read_callback read_callback

    enum:
        NGHTTP2_DATA
        NGHTTP2_HEADERS
        NGHTTP2_RST_STREAM
        NGHTTP2_SETTINGS
        NGHTTP2_PING
        NGHTTP2_GOAWAY
        NGHTTP2_CONTINUATION

        NGHTTP2_FLAG_NONE
        NGHTTP2_FLAG_END_STREAM
        NGHTTP2_FLAG_END_HEADERS
        NGHTTP2_FLAG_PADDED
        NGHTTP2_FLAG_PRIORITY
        NGHTTP2_FLAG_ACK

        NGHTTP2_NV_FLAG_NONE
        NGHTTP2_NV_FLAG_NO_INDEX
        NGHTTP2_NV_FLAG_NO_COPY_NAME

        NGHTTP2_DATA_FLAG_EOF
        NGHTTP2_DATA_FLAG_NO_END_STREAM
        NGHTTP2_DATA_FLAG_NO_COPY

        NGHTTP2_SETTINGS_ENABLE_PUSH
        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        NGHTTP2_SETTINGS_MAX_FRAME_SIZE
        NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE

        NGHTTP2_NO_ERROR
        NGHTTP2_PROTOCOL_ERROR
        NGHTTP2_INTERNAL_ERROR
        NGHTTP2_STREAM_CLOSED
        NGHTTP2_REFUSED_STREAM
        NGHTTP2_CANCEL
        NGHTTP2_ENHANCE_YOUR_CALM
        NGHTTP2_HTTP_1_1_REQUIRED

        NGHTTP2_ERR_DEFERRED
        NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        NGHTTP2_ERR_CALLBACK_FAILURE
        NGHTTP2_ERR_BAD_CLIENT_MAGIC
        NGHTTP2_ERR_FLOODED
        NGHTTP2_ERR_TOO_MANY_CONTINUATIONS

    # ---- header memory
    void nghttp2_rcbuf_incref(nghttp2_rcbuf* rcbuf)
    void nghttp2_rcbuf_decref(nghttp2_rcbuf* rcbuf)
    nghttp2_vec nghttp2_rcbuf_get_buf(nghttp2_rcbuf* rcbuf)
    int nghttp2_rcbuf_is_static(const nghttp2_rcbuf* rcbuf)

    int nghttp2_check_header_value_rfc9113(const uint8_t* value, size_t len)

    # ---- callbacks
    ctypedef int (*nghttp2_on_begin_frame_callback)(nghttp2_session*, const nghttp2_frame_hd*, void*) noexcept
    ctypedef int (*nghttp2_on_begin_headers_callback)(nghttp2_session*, const nghttp2_frame*, void*) noexcept
    ctypedef int (*nghttp2_on_header_callback2)(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*,
        nghttp2_rcbuf*, uint8_t, void*) noexcept
    ctypedef int (*nghttp2_on_frame_recv_callback)(nghttp2_session*, const nghttp2_frame*, void*) noexcept
    ctypedef int (*nghttp2_on_data_chunk_recv_callback)(nghttp2_session*, uint8_t, int32_t,
        const uint8_t*, size_t, void*) noexcept
    ctypedef int (*nghttp2_on_stream_close_callback)(nghttp2_session*, int32_t, uint32_t, void*) noexcept
    ctypedef int (*nghttp2_on_frame_send_callback)(nghttp2_session*, const nghttp2_frame*, void*) noexcept
    ctypedef int (*nghttp2_on_frame_not_send_callback)(nghttp2_session*, const nghttp2_frame*, int,
        void*) noexcept
    ctypedef int (*nghttp2_send_data_callback)(nghttp2_session*, nghttp2_frame*, const uint8_t*, size_t,
        nghttp2_data_source*, void*) noexcept

    int nghttp2_session_callbacks_new(nghttp2_session_callbacks**)
    void nghttp2_session_callbacks_set_on_begin_frame_callback(nghttp2_session_callbacks*,
        nghttp2_on_begin_frame_callback)
    void nghttp2_session_callbacks_set_on_begin_headers_callback(nghttp2_session_callbacks*,
        nghttp2_on_begin_headers_callback)
    void nghttp2_session_callbacks_set_on_header_callback2(nghttp2_session_callbacks*,
        nghttp2_on_header_callback2)
    void nghttp2_session_callbacks_set_on_invalid_header_callback2(nghttp2_session_callbacks*,
        nghttp2_on_header_callback2)
    void nghttp2_session_callbacks_set_on_frame_recv_callback(nghttp2_session_callbacks*,
        nghttp2_on_frame_recv_callback)
    void nghttp2_session_callbacks_set_on_data_chunk_recv_callback(nghttp2_session_callbacks*,
        nghttp2_on_data_chunk_recv_callback)
    void nghttp2_session_callbacks_set_on_stream_close_callback(nghttp2_session_callbacks*,
        nghttp2_on_stream_close_callback)
    void nghttp2_session_callbacks_set_on_frame_send_callback(nghttp2_session_callbacks*,
        nghttp2_on_frame_send_callback)
    void nghttp2_session_callbacks_set_on_frame_not_send_callback(nghttp2_session_callbacks*,
        nghttp2_on_frame_not_send_callback)
    void nghttp2_session_callbacks_set_send_data_callback(nghttp2_session_callbacks*,
        nghttp2_send_data_callback)

    # ---- options
    int nghttp2_option_new(nghttp2_option**)
    void nghttp2_option_del(nghttp2_option*)
    void nghttp2_option_set_no_auto_window_update(nghttp2_option*, int)
    void nghttp2_option_set_no_closed_streams(nghttp2_option*, int)
    void nghttp2_option_set_max_deflate_dynamic_table_size(nghttp2_option*, size_t)
    void nghttp2_option_set_max_outbound_ack(nghttp2_option*, size_t)
    void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option*, uint64_t, uint64_t)
    void nghttp2_option_set_max_continuations(nghttp2_option*, size_t)
    void nghttp2_option_set_max_send_header_block_length(nghttp2_option*, size_t)

    # ---- session
    ctypedef struct nghttp2_mem:
        pass

    # The options and the memory functions are copied.
    int nghttp2_session_server_new3(nghttp2_session**, const nghttp2_session_callbacks*, void*,
        const nghttp2_option*, nghttp2_mem*)
    int nghttp2_session_client_new3(nghttp2_session**, const nghttp2_session_callbacks*, void*,
        const nghttp2_option*, nghttp2_mem*)
    void nghttp2_session_del(nghttp2_session*)
    # These two call back into us: the GIL stays held.
    ssize_t nghttp2_session_mem_recv(nghttp2_session*, const uint8_t*, size_t)
    ssize_t nghttp2_session_mem_send(nghttp2_session*, const uint8_t**)
    int nghttp2_session_want_read(nghttp2_session*)
    int nghttp2_session_want_write(nghttp2_session*)
    size_t nghttp2_session_get_outbound_queue_size(nghttp2_session*)
    void* nghttp2_session_get_stream_user_data(nghttp2_session*, int32_t)
    int nghttp2_session_set_stream_user_data(nghttp2_session*, int32_t, void*)
    int nghttp2_session_resume_data(nghttp2_session*, int32_t)
    int nghttp2_session_consume_connection(nghttp2_session*, size_t)
    int nghttp2_session_consume_stream(nghttp2_session*, int32_t, size_t)
    int nghttp2_session_set_local_window_size(nghttp2_session*, uint8_t, int32_t, int32_t)
    int32_t nghttp2_session_get_effective_local_window_size(nghttp2_session*)
    int32_t nghttp2_session_get_stream_effective_recv_data_length(nghttp2_session*, int32_t)
    int32_t nghttp2_session_get_remote_window_size(nghttp2_session*)
    int32_t nghttp2_session_get_stream_remote_window_size(nghttp2_session*, int32_t)
    uint32_t nghttp2_session_get_local_settings(nghttp2_session*, int)
    int32_t nghttp2_session_get_effective_recv_data_length(nghttp2_session*)
    uint32_t nghttp2_session_get_remote_settings(nghttp2_session*, int32_t)
    int32_t nghttp2_session_get_last_proc_stream_id(nghttp2_session*)
    int nghttp2_session_terminate_session(nghttp2_session*, uint32_t)

    # ---- what we send
    int nghttp2_submit_settings(nghttp2_session*, uint8_t, const nghttp2_settings_entry*, size_t)
    int32_t nghttp2_submit_request(nghttp2_session*, const nghttp2_priority_spec*, const nghttp2_nv*,
        size_t, const nghttp2_data_provider*, void*)
    int nghttp2_submit_response(nghttp2_session*, int32_t, const nghttp2_nv*, size_t,
        const nghttp2_data_provider*)
    int32_t nghttp2_submit_headers(nghttp2_session*, uint8_t, int32_t, const nghttp2_priority_spec*,
        const nghttp2_nv*, size_t, void*)
    int nghttp2_submit_trailer(nghttp2_session*, int32_t, const nghttp2_nv*, size_t)
    int nghttp2_submit_rst_stream(nghttp2_session*, uint8_t, int32_t, uint32_t)
    int nghttp2_submit_ping(nghttp2_session*, uint8_t, const uint8_t*)
    int nghttp2_submit_goaway(nghttp2_session*, uint8_t, int32_t, uint32_t, const uint8_t*, size_t)
    int nghttp2_submit_shutdown_notice(nghttp2_session*)
