/* The HTTP/1 server: reads requests with any body, answers each with the same prepared response.
 *
 * Plain responses are only counted, so that any number of pipelined ones goes out with one send. A response that is different
 * (no body, or the last one) is `special`: nothing after its request is read until it is sent. */
#include "origin.h"
#include "origin_head.h"

/* Copies of the plain response in one piece, up to this size, are what one send can take. */
#define COPIES_BYTES (64 << 10)

/* The kinds of response, two bits: whether it has no body, and whether it is the last one. `special` 0 is "none". */
enum { NO_BODY = 1, LAST = 2 };

static char *plain; /* response_size bytes, `copies` times */
static size_t plain_size, plain_head_size, copies;
static char *last;
static size_t last_size, last_head_size;

static size_t write_head(char *text, size_t size, bool close)
{
    return snprintf(text, size, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\ncontent-type: text/plain\r\n%s\r\n", options.bytes,
                    close ? "connection: close\r\n" : "");
}

static char *prepared(bool close, size_t *head_size, size_t *size)
{
    char head[256];
    *head_size = write_head(head, sizeof head, close);
    *size = *head_size + options.bytes;
    char *response = allocated(*size > COPIES_BYTES ? *size : COPIES_BYTES);
    memcpy(response, head, *head_size);
    for (size_t i = 0; i < options.bytes; i++)
        response[*head_size + i] = body_byte(i);
    return response;
}

static void prepare(void)
{
    plain = prepared(false, &plain_head_size, &plain_size);
    last = prepared(true, &last_head_size, &last_size);
    copies = plain_size < COPIES_BYTES ? COPIES_BYTES / plain_size : 1;
    for (size_t i = 1; i < copies; i++)
        memcpy(plain + i * plain_size, plain, plain_size);
}

/* ---- Requests */

static void end_request(struct connection *connection)
{
    struct http1 *http1 = &connection->http1;
    http1->state = HEAD;
    http1->held = http1->kind != 0;
    if (http1->kind & LAST)
        connection->ended = true;
    respond(connection, (struct answer){.subject = http1->kind, .exchanges = 1});
}

/* The bytes of the head, 0 when it is incomplete, -1 when it is malformed. */
static long begin_request(struct connection *connection, const char *bytes, size_t size)
{
    struct http1 *http1 = &connection->http1;
    struct request_head head;
    long used = read_head(bytes, size, &head);
    if (used <= 0)
        return used;
    http1->kind = (head.head_method ? NO_BODY : 0) | (head.close || options.close ? LAST : 0);
    http1->line_bytes = 0;
    http1->remaining = head.content_length;
    if (head.chunked) {
        http1->remaining = 0;
        http1->state = CHUNK_SIZE;
    } else if (http1->remaining) {
        http1->state = BODY;
    } else {
        end_request(connection);
    }
    return used;
}

/* Passes over the bytes of a body or a chunk. */
static size_t skip(struct connection *connection, size_t size)
{
    struct http1 *http1 = &connection->http1;
    size_t skipped = size < http1->remaining ? size : http1->remaining;
    http1->remaining -= skipped;
    connection->listener->body_bytes += skipped;
    return skipped;
}

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

enum piece { LETTER, RETURN, LINE_END, WRONG };

static enum piece piece_of(struct http1 *http1, char letter)
{
    bool after_return = http1->carriage_return;
    http1->carriage_return = letter == '\r' && !after_return;
    if (after_return)
        return letter == '\n' ? LINE_END : WRONG;
    return letter == '\r' ? RETURN : letter == '\n' ? WRONG : LETTER;
}

static bool read_chunk_size(struct http1 *http1, char letter)
{
    if (http1->line_bytes > 1 && (letter == ';' || letter == ' ' || letter == '\t')) {
        http1->state = CHUNK_EXTENSION;
        return true;
    }
    int digit = hex_digit(letter);
    if (digit < 0 || http1->remaining >> 56)
        return false;
    http1->remaining = http1->remaining << 4 | digit;
    return true;
}

static void end_line(struct connection *connection)
{
    struct http1 *http1 = &connection->http1;
    bool empty = http1->line_bytes == 0;
    http1->line_bytes = 0;
    if (http1->state == CHUNK_END)
        http1->state = CHUNK_SIZE;
    else if (http1->state != TRAILER)
        http1->state = http1->remaining ? CHUNK_DATA : TRAILER;
    else if (empty)
        end_request(connection);
}

/* One byte of what frames the chunks, or of the trailers; false: malformed. */
static bool read_framing(struct connection *connection, char letter)
{
    struct http1 *http1 = &connection->http1;
    switch (piece_of(http1, letter)) {
    case LETTER:
        if (++http1->line_bytes > MAX_HEAD_BYTES || http1->state == CHUNK_END)
            return false;
        return http1->state != CHUNK_SIZE || read_chunk_size(http1, letter);
    case RETURN:
        return http1->state != CHUNK_SIZE || http1->line_bytes > 0;
    case LINE_END:
        end_line(connection);
        return true;
    default:
        return false;
    }
}

/* Reads requests; the bytes that were used, or -1 when they are malformed. */
static long read_requests(struct connection *connection, const char *bytes, size_t size)
{
    struct http1 *http1 = &connection->http1;
    size_t used = 0;
    while (used < size && !http1->held) {
        long head_size;
        switch (http1->state) {
        case HEAD:
            head_size = begin_request(connection, bytes + used, size - used);
            if (head_size < 0)
                return -1;
            if (head_size == 0)
                return used;
            used += head_size;
            break;
        case BODY:
            used += skip(connection, size - used);
            if (!http1->remaining)
                end_request(connection);
            break;
        case CHUNK_DATA:
            used += skip(connection, size - used);
            if (!http1->remaining)
                http1->state = CHUNK_END;
            break;
        default:
            if (!read_framing(connection, bytes[used++]))
                return -1;
        }
    }
    return used;
}

static bool receive(struct connection *connection, char *bytes, size_t size)
{
    struct buffer *input = &connection->input;
    if (!buffer_size(input)) {
        long used = read_requests(connection, bytes, size);
        if (used >= 0)
            buffer_append(input, bytes + used, size - used);
        return used >= 0;
    }
    buffer_append(input, bytes, size);
    long used = read_requests(connection, buffer_bytes(input), buffer_size(input));
    if (used > 0)
        buffer_take(input, used);
    return used >= 0;
}

/* ---- Responses */

static void answer(struct connection *connection, uint32_t kind)
{
    if (kind)
        connection->http1.special = kind;
    else
        connection->http1.owed++;
}

/* Sends the rest of a response that is `size` bytes long: 1 when it is sent, 0 when the socket is full, -1 when it is lost. */
static int send_rest(struct connection *connection, const char *response, size_t size)
{
    struct http1 *http1 = &connection->http1;
    ssize_t sent = send_some(connection, response + http1->offset, size - http1->offset);
    if (sent < 0)
        return -1;
    http1->offset += sent;
    return http1->offset == size;
}

static int send_owed(struct connection *connection)
{
    struct http1 *http1 = &connection->http1;
    while (http1->owed) {
        size_t count = http1->owed < copies ? http1->owed : copies;
        int sent = send_rest(connection, plain, count * plain_size);
        if (sent < 0)
            return -1;
        http1->owed -= http1->offset / plain_size;
        http1->offset %= plain_size;
        if (!sent)
            return 0;
    }
    return 1;
}

static int send_special(struct connection *connection)
{
    struct http1 *http1 = &connection->http1;
    bool is_last = http1->special & LAST, no_body = http1->special & NO_BODY;
    int sent = is_last ? send_rest(connection, last, no_body ? last_head_size : last_size)
                       : send_rest(connection, plain, no_body ? plain_head_size : plain_size);
    if (sent == 1) {
        http1->special = 0;
        http1->offset = 0;
        http1->held = is_last;
    }
    return sent;
}

/* After a special response that is not the last, reading goes on with what has arrived in the meantime. */
static bool flush(struct connection *connection)
{
    struct http1 *http1 = &connection->http1;
    do {
        int sent = send_owed(connection);
        if (sent == 1 && http1->special)
            sent = send_special(connection);
        if (sent < 0)
            return false;
        connection->paused = !sent || http1->held;
        if (connection->paused || !buffer_size(&connection->input))
            return true;
        if (!receive(connection, NULL, 0))
            return false;
    } while (http1->owed || http1->special);
    connection->paused = http1->held;
    return true;
}

const struct protocol http1_protocol = {
    .name = "http1",
    .prepare = prepare,
    .receive = receive,
    .answer = answer,
    .flush = flush,
};
