/* The HTTP/2 server, without TLS, by prior knowledge: plain responses, and gRPC ones for `content-type: application/grpc`.
 *
 * nghttp2 has the frames, the header compression and the windows; the bodies go from one prepared message straight into the
 * batch that the next send takes. `subject` of an answer is its stream. */
#include "origin.h"

#include <nghttp2/nghttp2.h>

#define BATCH_BYTES (256 << 10)
#define FRAME_HEAD_SIZE 9
#define GRPC_PREFIX_SIZE 5
#define STREAM_WINDOW (16 << 20)
#define CONNECTION_WINDOW (1 << 30)
#define MAX_STREAMS 10000

/* A request and its response, while its stream is open. */
struct exchange {
    bool grpc, head_method, answered;
    uint64_t sent, total; /* of the body */
    struct exchange *next, *previous; /* of its connection; or the next free one */
};

struct http2 {
    nghttp2_session *session;
    struct connection *connection;
    struct exchange exchanges; /* the ring's anchor */
};

static nghttp2_session_callbacks *callbacks;
static nghttp2_option *session_options;
static char *message; /* the gRPC prefix, then the body */
static char length_text[24];
static struct exchange *unused;

/* What the session that is being flushed has written so far. */
static char batch[BATCH_BYTES];
static size_t batch_size;

/* ---- Exchanges */

static struct exchange *begin_exchange(struct http2 *http2)
{
    struct exchange *exchange = unused, *anchor = &http2->exchanges;
    if (exchange)
        unused = exchange->next;
    else
        exchange = allocated(sizeof *exchange);
    *exchange = (struct exchange){.next = anchor->next, .previous = anchor};
    anchor->next->previous = exchange;
    anchor->next = exchange;
    return exchange;
}

static void end_exchange(struct exchange *exchange)
{
    exchange->previous->next = exchange->next;
    exchange->next->previous = exchange->previous;
    exchange->next = unused;
    unused = exchange;
}

/* ---- Requests: what nghttp2 calls while it reads */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *http2)
{
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, begin_exchange(http2));
    return 0;
}

static bool is(const uint8_t *text, size_t size, const char *word, size_t word_size)
{
    return size == word_size && !memcmp(text, word, word_size);
}
#define IS(text, size, word) is(text, size, word, sizeof(word) - 1)

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *http2)
{
    static const char grpc[] = "application/grpc";
    (void)flags, (void)http2;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!exchange)
        return 0;
    if (IS(name, name_size, "content-type"))
        exchange->grpc = value_size >= sizeof grpc - 1 && !memcmp(value, grpc, sizeof grpc - 1);
    else if (IS(name, name_size, ":method"))
        exchange->head_method = IS(value, value_size, "HEAD");
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size, void *http2)
{
    (void)session, (void)flags, (void)stream, (void)bytes;
    ((struct http2 *)http2)->connection->listener->body_bytes += size;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *http2)
{
    (void)session;
    bool carries_request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries_request && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        respond(((struct http2 *)http2)->connection, (struct answer){.subject = frame->hd.stream_id, .exchanges = 1});
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *http2)
{
    (void)code, (void)http2;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream);
    if (exchange)
        end_exchange(exchange);
    return 0;
}

/* ---- Responses: what nghttp2 calls while it writes */

#define FIELD(name, value, size)                                          \
    {                                                                     \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (size),  \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE, \
    }

/* A DATA frame carries at most one gRPC message, as from servers that write each message when they have it. */
static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t size, uint32_t *flags,
                         nghttp2_data_source *source, void *http2)
{
    (void)bytes, (void)http2;
    struct exchange *exchange = source->ptr;
    size_t message_size = GRPC_PREFIX_SIZE + options.bytes;
    uint64_t left = exchange->grpc ? message_size - exchange->sent % message_size : exchange->total - exchange->sent;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left > size)
        left = size;
    if (exchange->sent + left < exchange->total)
        return left;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (exchange->grpc) {
        nghttp2_nv trailers[] = {FIELD("grpc-status", "0", 1)};
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, stream, trailers, 1) < 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return left;
}

/* Writes a DATA frame into the batch. */
static int write_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t size,
                      nghttp2_data_source *source, void *http2)
{
    (void)session, (void)frame, (void)http2;
    struct exchange *exchange = source->ptr;
    if (BATCH_BYTES - batch_size < FRAME_HEAD_SIZE + size)
        return NGHTTP2_ERR_WOULDBLOCK;
    size_t start = exchange->grpc ? exchange->sent % (GRPC_PREFIX_SIZE + options.bytes) : GRPC_PREFIX_SIZE + exchange->sent;
    memcpy(batch + batch_size, head, FRAME_HEAD_SIZE);
    memcpy(batch + batch_size + FRAME_HEAD_SIZE, message + start, size);
    batch_size += FRAME_HEAD_SIZE + size;
    exchange->sent += size;
    return 0;
}

/* Writes any other frame into the batch. */
static ssize_t write_frame(nghttp2_session *session, const uint8_t *bytes, size_t size, int flags, void *http2)
{
    (void)session, (void)flags, (void)http2;
    size_t left = BATCH_BYTES - batch_size, taken = size < left ? size : left;
    if (!taken)
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(batch + batch_size, bytes, taken);
    batch_size += taken;
    return taken;
}

static void answer(struct connection *connection, uint32_t stream)
{
    nghttp2_session *session = connection->http2->session;
    struct exchange *exchange = nghttp2_session_get_stream_user_data(session, stream);
    if (!exchange || exchange->answered)
        return; /* the client has given it up */
    exchange->answered = true;
    nghttp2_data_provider body = {.source.ptr = exchange, .read_callback = read_body};
    nghttp2_nv plain[] = {
        FIELD(":status", "200", 3),
        FIELD("content-type", "text/plain", 10),
        FIELD("content-length", length_text, strlen(length_text)),
    };
    nghttp2_nv grpc[] = {FIELD(":status", "200", 3), FIELD("content-type", "application/grpc", 16)};
    exchange->total = exchange->grpc ? (uint64_t)options.messages * (GRPC_PREFIX_SIZE + options.bytes) : options.bytes;
    bool bodiless = exchange->head_method || !exchange->total;
    if (nghttp2_submit_response(session, stream, exchange->grpc ? grpc : plain, exchange->grpc ? 2 : 3, bodiless ? NULL : &body) < 0)
        die("nghttp2 has no memory for a response");
}

/* ---- Connections */

static void prepare(void)
{
    message = allocated(GRPC_PREFIX_SIZE + options.bytes);
    for (int i = 0; i < 4; i++)
        message[1 + i] = (char)(options.bytes >> (24 - 8 * i));
    for (size_t i = 0; i < options.bytes; i++)
        message[GRPC_PREFIX_SIZE + i] = body_byte(i);
    snprintf(length_text, sizeof length_text, "%zu", options.bytes);

    if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&session_options))
        die("out of memory for nghttp2");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, write_data);
    nghttp2_session_callbacks_set_send_callback(callbacks, write_frame);
    nghttp2_option_set_no_closed_streams(session_options, 1);
}

static void open_session(struct connection *connection)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    struct http2 *http2 = allocated(sizeof *http2);
    http2->connection = connection;
    http2->exchanges.next = http2->exchanges.previous = &http2->exchanges;
    connection->http2 = http2;
    if (nghttp2_session_server_new2(&http2->session, callbacks, http2, session_options) ||
        nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ||
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW))
        die("nghttp2 has no memory for a connection");
}

static void close_session(struct connection *connection)
{
    struct http2 *http2 = connection->http2;
    nghttp2_session_del(http2->session);
    while (http2->exchanges.next != &http2->exchanges)
        end_exchange(http2->exchanges.next);
    free(http2);
}

static bool receive(struct connection *connection, char *bytes, size_t size)
{
    ssize_t used = nghttp2_session_mem_recv(connection->http2->session, (uint8_t *)bytes, size);
    return used == (ssize_t)size;
}

/* Sends the rest of an earlier batch; 1 when there is none left, 0 when the socket is full, -1 when it is lost. */
static int send_rest(struct connection *connection)
{
    struct buffer *rest = &connection->output;
    if (!buffer_size(rest))
        return 1;
    ssize_t sent = send_some(connection, buffer_bytes(rest), buffer_size(rest));
    if (sent < 0)
        return -1;
    buffer_take(rest, sent);
    return !buffer_size(rest);
}

static bool flush(struct connection *connection)
{
    nghttp2_session *session = connection->http2->session;
    int clear = send_rest(connection);
    while (clear == 1) {
        batch_size = 0;
        if (nghttp2_session_send(session))
            return false;
        if (!batch_size)
            break;
        ssize_t sent = send_some(connection, batch, batch_size);
        if (sent < 0)
            return false;
        buffer_append(&connection->output, batch + sent, batch_size - sent);
        clear = !connection->unsent;
        if (batch_size < BATCH_BYTES / 2)
            break; /* the session had no more */
    }
    if (!connection->unsent && !nghttp2_session_want_read(session) && !nghttp2_session_want_write(session))
        connection->ended = true;
    return clear >= 0;
}

const struct protocol http2_protocol = {
    .name = "http2",
    .prepare = prepare,
    .open = open_session,
    .receive = receive,
    .answer = answer,
    .flush = flush,
    .close = close_session,
};
