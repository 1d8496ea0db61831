/* WebSocket: one upgrade a connection, then masked binary frames that come back unmasked.
 *
 * The key and the mask are the same each time, which makes the request bytes constant and the expected accept key known. */
#include "load.h"

#define KEY "bGlua2VyZDItcHkgbG9hZA=="
#define ACCEPT "D4uaDkxQZaN7Whc4F+GHrMwGTo0=" /* base64(sha1(KEY "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) */

enum { CONTINUATION = 0, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FINAL = 0x80, MASKED = 0x80 };

static const uint8_t mask[4] = {0x6c, 0x35, 0x64, 0x21};
static struct text upgrade;

static size_t write_start(uint8_t *start, int opcode, int64_t size)
{
    int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    start[0] = (uint8_t)(FINAL | opcode);
    start[1] = (uint8_t)(MASKED | (length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
    for (int i = 0; i < length_bytes; i++)
        start[2 + i] = (uint8_t)(size >> (8 * (length_bytes - 1 - i)));
    memcpy(start + 2 + length_bytes, mask, sizeof mask);
    return 2 + (size_t)length_bytes + sizeof mask;
}

static void prepare(void)
{
    char head[8192];
    int size = snprintf(head, sizeof head,
                        "GET %s HTTP/1.1\r\nhost: %s\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
                        "sec-websocket-version: 13\r\nsec-websocket-key: " KEY "\r\n\r\n",
                        options.path, options.authority);
    if (size >= (int)sizeof head)
        die("--path and --authority are too long");
    upgrade = text_of(head, (size_t)size, 0);

    uint8_t start[14];
    size_t start_size = write_start(start, BINARY, options.request_bytes);
    request = text_of((char *)start, start_size, options.request_bytes);
    char *payload = (char *)request.bytes + start_size;
    for (int64_t i = 0; i < options.request_bytes; i++)
        payload[i] ^= (char)mask[i % 4];
}

static void connected(struct connection *connection)
{
    set_output(connection, &upgrade);
    send_output(connection);
}

static void begin(struct exchange *exchange)
{
    exchange->connection->received = 0;
    set_output(exchange->connection, &request);
}

/* How many bytes the answer to the upgrade took. */
static size_t take_upgrade(struct connection *connection, const char *bytes, size_t size)
{
    const char *text;
    size_t used = size;
    struct head_fields fields;
    long whole = head_take(&connection->websocket.head, bytes, size, &text, &used);
    if (whole == 0)
        return size;
    if (whole < 0 || !head_read(text, (size_t)whole, &fields) || fields.status != 101 ||
        fields.accept.size != strlen(ACCEPT) || memcmp(fields.accept.bytes, ACCEPT, strlen(ACCEPT)) != 0) {
        connection_fail(connection, HANDSHAKE);
        return size;
    }
    head_release(&connection->websocket.head);
    connection->websocket.upgraded = true;
    connection_ready(connection);
    return used;
}

/* How many bytes of a frame's start are needed, as far as that is known; -1: no server may send this. */
static int start_needed(const struct websocket_frame *frame)
{
    if (frame->start_size < 2)
        return 2;
    int length = frame->start[1];
    return length & MASKED ? -1 : length < 126 ? 2 : length == 126 ? 4 : 10;
}

static void read_left(struct websocket_frame *frame)
{
    uint64_t size = frame->start[1];
    if (size >= 126) {
        size = 0;
        for (int i = 2; i < frame->start_size; i++)
            size = size << 8 | frame->start[i];
    }
    frame->left = (int64_t)(size & INT64_MAX);
}

/* A ping is answered with an empty pong, unless a frame is half written. */
static void answer_ping(struct connection *connection)
{
    uint8_t pong[14];
    if (connection->output && connection->sent < connection->output->size)
        return;
    if (connection_send(connection, pong, write_start(pong, PONG, 0)) < 0 && errno != EAGAIN)
        connection_fail(connection, RESET);
}

/* The frame's start is known, its payload is to come. */
static void enter_frame(struct connection *connection)
{
    struct websocket_frame *frame = &connection->websocket.frame;
    int opcode = frame->start[0] & 0x0f;
    read_left(frame);
    if (opcode == CLOSE)
        return connection_closed(connection);
    if (opcode == PING)
        return answer_ping(connection);
    if (opcode == PONG)
        return;
    if (opcode != (frame->in_message ? CONTINUATION : BINARY))
        return connection_fail(connection, MALFORMED);
    if (!connection->busy)
        return connection_fail(connection, LEFTOVER);
    if (connection->received + frame->left > options.request_bytes)
        return connection_fail(connection, LENGTH);
    frame->in_message = true;
}

static void leave_frame(struct connection *connection, size_t leftover)
{
    struct websocket_frame *frame = &connection->websocket.frame;
    bool of_message = (frame->start[0] & 0x08) == 0, final = frame->start[0] & FINAL;
    frame->start_size = 0;
    if (!of_message || !final)
        return;
    frame->in_message = false;
    if (connection->received != options.request_bytes)
        return connection_fail(connection, LENGTH);
    if (leftover)
        return connection_fail(connection, LEFTOVER);
    exchange_done(connection->exchanges);
}

static size_t take_payload(struct connection *connection, const char *bytes, size_t size)
{
    struct websocket_frame *frame = &connection->websocket.frame;
    size_t taken = (int64_t)size < frame->left ? size : (size_t)frame->left;
    frame->left -= (int64_t)taken;
    if ((frame->start[0] & 0x08) == 0) {
        if (!matches_pattern(bytes, taken, connection->received))
            connection_fail(connection, BODY);
        connection->received += (int64_t)taken;
    }
    return taken;
}

static size_t take_start(struct connection *connection, uint8_t byte)
{
    struct websocket_frame *frame = &connection->websocket.frame;
    frame->start[frame->start_size++] = byte;
    int needed = start_needed(frame);
    if (needed < 0)
        connection_fail(connection, MALFORMED);
    else if (frame->start_size == needed)
        enter_frame(connection);
    return 1;
}

static bool start_is_whole(const struct websocket_frame *frame)
{
    return frame->start_size >= 2 && frame->start_size == start_needed(frame);
}

static void receive(struct connection *connection, const char *bytes, size_t size)
{
    struct websocket_frame *frame = &connection->websocket.frame;
    size_t at = 0;
    if (!connection->websocket.upgraded)
        at = take_upgrade(connection, bytes, size);
    while (at < size && connection->phase != ENDED) {
        if (start_is_whole(frame))
            at += take_payload(connection, bytes + at, size - at);
        else
            at += take_start(connection, (uint8_t)bytes[at]);
        if (connection->phase != ENDED && start_is_whole(frame) && !frame->left)
            leave_frame(connection, size - at);
    }
}

static void closed(struct connection *connection)
{
    if (connection->websocket.upgraded)
        connection_closed(connection);
    else
        connection_fail(connection, HANDSHAKE);
}

static void release(struct connection *connection)
{
    head_release(&connection->websocket.head);
    memset(&connection->websocket, 0, sizeof connection->websocket);
}

const struct protocol websocket_protocol = {
    .name = "websocket",
    .prepare = prepare,
    .connected = connected,
    .begin = begin,
    .flush = send_output,
    .receive = receive,
    .closed = closed,
    .release = release,
};
