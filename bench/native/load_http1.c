/* HTTP/1.1: GET, or POST with a body. With --close each exchange has a connection of its own, which ends when the server closes. */
#include "load.h"

static void prepare_head(const char *extra)
{
    char head[8192];
    char length[64] = "";
    if (options.request_bytes)
        snprintf(length, sizeof length, "content-length: %lld\r\n", (long long)options.request_bytes);
    int size = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nhost: %s\r\n%s%s\r\n", options.request_bytes ? "POST" : "GET",
                        options.path, options.authority, length, extra);
    if (size >= (int)sizeof head)
        die("--path and --authority are too long");
    request = text_of(head, (size_t)size, options.request_bytes);
}

static void prepare(void)
{
    prepare_head("");
}

static void prepare_close(void)
{
    prepare_head("connection: close\r\n");
}

static void begin(struct exchange *exchange)
{
    set_output(exchange->connection, &request);
}

static void response_done(struct connection *connection)
{
    struct http1_response *response = &connection->http1;
    if (connection->received != options.bytes)
        return connection_fail(connection, LENGTH);
    if (connection->sent < connection->output->size) /* an answer before the whole question */
        return connection_fail(connection, MALFORMED);
    if (options.protocol->connects_each_time) {
        response->complete = true;
        return;
    }
    response->in_body = false;
    exchange_done(connection->exchanges);
}

static bool take_body(struct connection *connection, const char *bytes, size_t size)
{
    enum kind wrong = NO_ERROR;
    if (connection->received + (int64_t)size > options.bytes)
        wrong = LENGTH;
    else if (!matches_pattern(bytes, size, connection->received))
        wrong = BODY;
    if (wrong)
        connection_fail(connection, wrong);
    connection->received += (int64_t)size;
    return !wrong;
}

/* How many bytes the head took, or -1 when nothing is left to do. */
static long take_head(struct connection *connection, const char *bytes, size_t size)
{
    struct http1_response *response = &connection->http1;
    struct head_fields fields;
    const char *text;
    size_t used = 0;
    enum kind wrong = NO_ERROR;
    long whole = head_take(&response->head, bytes, size, &text, &used);
    if (whole == 0)
        return -1;
    if (whole < 0 || !head_read(text, (size_t)whole, &fields))
        wrong = MALFORMED;
    else if (fields.status != 200)
        wrong = STATUS;
    else if (!fields.chunked && fields.length != options.bytes)
        wrong = LENGTH;
    if (wrong) {
        connection_fail(connection, wrong);
        return -1;
    }
    connection->closing |= fields.close;
    connection->received = 0;
    response->in_body = true;
    response->chunked = fields.chunked;
    response->chunks = (struct chunks){0};
    return (long)used;
}

static void receive(struct connection *connection, const char *bytes, size_t size)
{
    struct http1_response *response = &connection->http1;
    if (!connection->busy || response->complete)
        return connection_fail(connection, LEFTOVER);
    if (!response->in_body) {
        long used = take_head(connection, bytes, size);
        if (used < 0)
            return;
        bytes += used;
        size -= (size_t)used;
    }
    size_t used;
    if (response->chunked) {
        long taken = chunks_take(&response->chunks, bytes, size, take_body, connection);
        if (taken < 0)
            return connection_fail(connection, MALFORMED);
        used = (size_t)taken;
    } else {
        int64_t left = options.bytes - connection->received;
        used = (int64_t)size < left ? size : (size_t)left;
        take_body(connection, bytes, used);
    }
    if (connection->phase == ENDED)
        return;
    if (used < size)
        return connection_fail(connection, LEFTOVER);
    if (response->chunked ? response->chunks.stage == CHUNK_DONE : connection->received == options.bytes)
        response_done(connection);
}

static void closed(struct connection *connection)
{
    if (connection->http1.complete)
        exchange_done(connection->exchanges);
    else
        connection_closed(connection);
}

static void release(struct connection *connection)
{
    head_release(&connection->http1.head);
    connection->http1 = (struct http1_response){0};
}

const struct protocol http1_protocol = {
    .name = "http1",
    .prepare = prepare,
    .connected = connection_ready,
    .begin = begin,
    .flush = send_output,
    .receive = receive,
    .closed = closed,
    .release = release,
};

const struct protocol http1_close_protocol = {
    .name = "http1",
    .connects_each_time = true,
    .prepare = prepare_close,
    .connected = connection_ready,
    .begin = begin,
    .flush = send_output,
    .receive = receive,
    .closed = closed,
    .release = release,
};
