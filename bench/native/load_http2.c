/* HTTP/2 by prior knowledge (over TLS by ALPN, too), and gRPC over it: requests are streams of one session a connection.
 *
 * Windows are as large as they go, so that flow control is not what is measured. */
#include "load.h"

#include <nghttp2/nghttp2.h>

enum { OUTPUT_SIZE = 64 * 1024, FRAME_ROOM = 17 * 1024, WINDOW = 1 << 30, FIELDS = 7, LONGEST_NAMES = 8000 };

struct http2 {
    nghttp2_session *session;
    char *unsent; /* what the socket did not take, OUTPUT_SIZE bytes once there was something */
    size_t unsent_size;
    size_t unsent_sent;
};

static nghttp2_session_callbacks *callbacks;
static nghttp2_nv fields[FIELDS];
static size_t field_count;
static bool is_grpc;

static void add_field(const char *name, const char *value)
{
    fields[field_count++] = (nghttp2_nv){
        (uint8_t *)name,
        (uint8_t *)value,
        strlen(name),
        strlen(value),
        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

/* What a received frame says of its stream's exchange. */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *connection)
{
    (void)flags, (void)connection;
    bool is_status = name_size == 7 && memcmp(name, ":status", 7) == 0;
    bool is_grpc_status = name_size == 11 && memcmp(name, "grpc-status", 11) == 0;
    if (!is_status && !is_grpc_status)
        return 0;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!exchange)
        return 0;
    if (is_status)
        exchange->status_ok = value_size == 3 && memcmp(value, "200", 3) == 0;
    else
        exchange->trailers_ok = value_size == 1 && *value == '0';
    return 0;
}

static enum kind take_body(struct exchange *exchange, const char *bytes, size_t size)
{
    if (exchange->received + (int64_t)size > options.bytes)
        return LENGTH;
    if (!matches_pattern(bytes, size, exchange->received))
        return BODY;
    exchange->received += (int64_t)size;
    return NO_ERROR;
}

/* The prefix of a message is complete: not compressed, and as long as all are. */
static enum kind enter_message(struct exchange *exchange)
{
    const uint8_t *prefix = exchange->prefix;
    int64_t size = (int64_t)prefix[1] << 24 | prefix[2] << 16 | prefix[3] << 8 | prefix[4];
    exchange->received = 0;
    return prefix[0] ? MALFORMED : size != options.bytes ? LENGTH : NO_ERROR;
}

static enum kind take_messages(struct exchange *exchange, const char *bytes, size_t size)
{
    while (size) {
        size_t taken = 1;
        enum kind wrong = NO_ERROR;
        if (exchange->prefix_size < 5) {
            exchange->prefix[exchange->prefix_size++] = (uint8_t)*bytes;
            if (exchange->prefix_size == 5)
                wrong = enter_message(exchange);
        } else {
            int64_t left = options.bytes - exchange->received;
            taken = (int64_t)size < left ? size : (size_t)left;
            wrong = take_body(exchange, bytes, taken);
        }
        if (wrong)
            return wrong;
        if (exchange->prefix_size == 5 && exchange->received == options.bytes) {
            exchange->prefix_size = 0;
            exchange->messages++;
        }
        bytes += taken;
        size -= taken;
    }
    return NO_ERROR;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size,
                   void *connection)
{
    (void)flags, (void)connection;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream);
    if (exchange && !exchange->wrong)
        exchange->wrong = (is_grpc ? take_messages : take_body)(exchange, (const char *)bytes, size);
    return 0;
}

static enum kind judge(const struct exchange *exchange)
{
    if (!exchange->status_ok)
        return STATUS;
    if (exchange->wrong)
        return exchange->wrong;
    if (!is_grpc)
        return exchange->received == options.bytes ? NO_ERROR : LENGTH;
    if (!exchange->trailers_ok)
        return TRAILERS;
    return exchange->prefix_size || exchange->messages != options.messages ? LENGTH : NO_ERROR;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    struct connection *connection = user;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream);
    if (!exchange || !exchange->busy || connection->phase == ENDED)
        return 0;
    enum kind wrong = judge(exchange);
    if (code != NGHTTP2_NO_ERROR)
        wrong = STREAM_RESET;
    if (wrong)
        exchange_failed(exchange, wrong);
    else
        exchange_done(exchange);
    return 0;
}

/* No further exchange here; those the server says it did not look at are safe to ask again elsewhere. */
static void go_away(struct connection *connection, int32_t last_stream)
{
    connection->closing = true;
    for (int i = 0; i < options.streams; i++)
        if (connection->exchanges[i].busy && connection->exchanges[i].stream > last_stream)
            exchange_postpone(&connection->exchanges[i]);
    if (!connection->busy)
        connection_end(connection);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct connection *connection = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        go_away(connection, frame->goaway.last_stream_id);
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK) && connection->phase == CONNECTING)
        connection_ready(connection);
    return 0;
}

/* A request that cannot be sent: the library has given the session up. Asking again on it would never end. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)session, (void)code;
    struct connection *connection = user;
    if (frame->hd.type == NGHTTP2_HEADERS && !connection->closing)
        connection_fail(connection, MALFORMED);
    return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *connection)
{
    (void)session, (void)stream, (void)connection;
    struct exchange *exchange = source->ptr;
    size_t left = request.size - (size_t)exchange->sent, size = left < room ? left : room;
    memcpy(buffer, request.bytes + exchange->sent, size);
    exchange->sent += (int64_t)size;
    if (size == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static void prepare(void)
{
    static char length[24];
    if (nghttp2_session_callbacks_new(&callbacks))
        die("out of memory");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    request = text_of("", 0, options.request_bytes);
    if (strlen(options.authority) + strlen(options.path) > LONGEST_NAMES)
        die("--path and --authority are too long");
    add_field(":method", options.request_bytes ? "POST" : "GET");
    add_field(":scheme", "http");
    add_field(":authority", options.authority);
    add_field(":path", options.path);
    if (options.request_bytes) {
        snprintf(length, sizeof length, "%lld", (long long)options.request_bytes);
        add_field("content-length", length);
    }
}

static void prepare_grpc(void)
{
    prepare();
    uint32_t size = htonl((uint32_t)options.request_bytes);
    char prefix[5] = {0};
    memcpy(prefix + 1, &size, sizeof size);
    free((char *)request.bytes);
    request = text_of(prefix, sizeof prefix, options.request_bytes);
    is_grpc = true;
    field_count = 0;
    add_field(":method", "POST");
    add_field(":scheme", "http");
    add_field(":authority", options.authority);
    add_field(":path", options.path);
    add_field("content-type", "application/grpc");
    add_field("te", "trailers");
}

static void flush(struct connection *connection);

static void connected(struct connection *connection)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    struct http2 *http2 = connection->http2 = allocate(sizeof *http2);
    if (nghttp2_session_client_new(&http2->session, callbacks, connection) ||
        nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, 2) ||
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, WINDOW))
        die("out of memory");
    flush(connection);
}

static void begin(struct exchange *exchange)
{
    nghttp2_data_provider body = {.source.ptr = exchange, .read_callback = read_request};
    struct connection *connection = exchange->connection;
    exchange->wrong = NO_ERROR;
    exchange->status_ok = exchange->trailers_ok = false;
    exchange->prefix_size = exchange->messages = 0;
    exchange->sent = exchange->received = 0;
    exchange->stream = nghttp2_submit_request(connection->http2->session, NULL, fields, field_count,
                                              request.size ? &body : NULL, exchange);
    if (exchange->stream == NGHTTP2_ERR_NOMEM)
        die("out of memory");
    if (exchange->stream < 0) { /* out of stream numbers: a new connection has them all */
        exchange->stream = INT32_MAX;
        go_away(connection, INT32_MAX - 1);
    }
}

/* Fills `buffer` with frames; how many bytes. */
static size_t gather(struct http2 *http2, char *buffer)
{
    size_t size = 0;
    while (size + FRAME_ROOM <= OUTPUT_SIZE) {
        const uint8_t *bytes;
        ssize_t count = nghttp2_session_mem_send(http2->session, &bytes);
        if (count < 0 || count > FRAME_ROOM)
            die("HTTP/2 frames: %s", count < 0 ? nghttp2_strerror((int)count) : "too large");
        if (count == 0)
            break;
        memcpy(buffer + size, bytes, (size_t)count);
        size += (size_t)count;
    }
    return size;
}

/* How many bytes the socket took, or -1 when the connection has failed. */
static ssize_t offer(struct connection *connection, const char *bytes, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t taken = connection_send(connection, bytes + sent, size - sent);
        if (taken >= 0) {
            sent += (size_t)taken;
        } else if (errno == EAGAIN) {
            connection->blocked = true;
            break;
        } else if (errno != EINTR) {
            connection_fail(connection, kind_of(errno));
            return -1;
        }
    }
    return (ssize_t)sent;
}

static bool flush_unsent(struct connection *connection)
{
    struct http2 *http2 = connection->http2;
    ssize_t taken = offer(connection, http2->unsent + http2->unsent_sent, http2->unsent_size - http2->unsent_sent);
    if (taken < 0)
        return false;
    http2->unsent_sent += (size_t)taken;
    return http2->unsent_sent == http2->unsent_size;
}

static void flush(struct connection *connection)
{
    static char output[OUTPUT_SIZE];
    struct http2 *http2 = connection->http2;
    if (!http2)
        return;
    connection->blocked = false;
    if (http2->unsent_size && !flush_unsent(connection))
        return;
    http2->unsent_size = http2->unsent_sent = 0;
    for (;;) {
        size_t size = gather(http2, output);
        if (!size || connection->phase == ENDED)
            break;
        ssize_t taken = offer(connection, output, size);
        if (taken == (ssize_t)size)
            continue;
        if (taken < 0)
            return;
        if (!http2->unsent)
            http2->unsent = allocate(OUTPUT_SIZE);
        http2->unsent_size = size - (size_t)taken;
        memcpy(http2->unsent, output + taken, http2->unsent_size);
        return;
    }
    if (!nghttp2_session_want_read(http2->session)) /* given up without a request to send */
        connection_fail(connection, MALFORMED);
}

static void receive(struct connection *connection, const char *bytes, size_t size)
{
    ssize_t taken = nghttp2_session_mem_recv(connection->http2->session, (const uint8_t *)bytes, size);
    if (connection->phase == ENDED)
        return;
    if (taken == NGHTTP2_ERR_NOMEM)
        die("out of memory");
    if (taken < 0)
        connection_fail(connection, MALFORMED);
}

static void release(struct connection *connection)
{
    struct http2 *http2 = connection->http2;
    if (!http2)
        return;
    nghttp2_session_del(http2->session);
    free(http2->unsent);
    free(http2);
    connection->http2 = NULL;
}

const struct protocol http2_protocol = {
    .name = "http2",
    .prepare = prepare,
    .connected = connected,
    .begin = begin,
    .flush = flush,
    .receive = receive,
    .closed = connection_closed,
    .release = release,
};

const struct protocol grpc_protocol = {
    .name = "grpc",
    .prepare = prepare_grpc,
    .connected = connected,
    .begin = begin,
    .flush = flush,
    .receive = receive,
    .closed = connection_closed,
    .release = release,
};
