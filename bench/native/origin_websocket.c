/* The WebSocket server (RFC 6455): after the handshake every frame comes back unmasked, a ping as a pong.
 *
 * Frames are turned into their echoes in place, one behind the other: an echo is shorter by its mask, so it never reaches what
 * is still to be read. All echoes of one read go out together. */
#include "origin.h"
#include "origin_head.h"
#include "websocket_accept.h"

#define MAX_PAYLOAD (1 << 20)
#define MASK_SIZE 4

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, CONTROL = 0x08, MASKED = 0x80 };

/* The bytes of the head, 0 when it is incomplete, -1 when it is no handshake. */
static long shake_hands(struct connection *connection, const char *bytes, size_t size)
{
    struct request_head head;
    long used = read_head(bytes, size, &head);
    if (used <= 0)
        return used;
    if (!head.upgrade_websocket || head.websocket_key_size != WEBSOCKET_KEY_SIZE || head.content_length || head.chunked)
        return -1;
    char accept[WEBSOCKET_ACCEPT_SIZE + 1], response[256];
    websocket_accept(head.websocket_key, accept);
    int length = snprintf(response, sizeof response,
                          "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                          "sec-websocket-accept: %s\r\n\r\n",
                          accept);
    if (send_some(connection, response, length) != length)
        return -1; /* the first bytes of a connection always fit */
    connection->websocket.open = true;
    return used;
}

static void unmask(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[MASK_SIZE])
{
    uint64_t wide_mask, piece;
    size_t i = 0;
    memcpy(&wide_mask, mask, 4);
    memcpy((uint8_t *)&wide_mask + 4, mask, 4);
    for (; i + 8 <= size; i += 8) {
        memcpy(&piece, from + i, 8);
        piece ^= wide_mask;
        memcpy(to + i, &piece, 8);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ mask[i % MASK_SIZE];
}

struct frame {
    uint8_t opcode;
    bool fin;
    size_t head_size; /* without the mask */
    size_t size;      /* of the payload */
};

/* 1: the head is read; 0: it is incomplete; -1: it is malformed. */
static int read_frame_head(const uint8_t *bytes, size_t size, struct frame *frame)
{
    if (size < 2)
        return 0;
    size_t length = bytes[1] & ~MASKED, extra = length == 127 ? 8 : length == 126 ? 2 : 0;
    *frame = (struct frame){.opcode = bytes[0] & OPCODE, .fin = bytes[0] & FIN, .head_size = 2 + extra, .size = length};
    if (bytes[0] & RESERVED || !(bytes[1] & MASKED) || frame->opcode > PONG || (frame->opcode > BINARY && frame->opcode < CLOSE))
        return -1;
    if (frame->opcode & CONTROL && (!frame->fin || extra))
        return -1;
    if (size < 2 + extra)
        return 0;
    if (extra) {
        uint64_t long_length = 0;
        for (size_t i = 0; i < extra; i++)
            long_length = long_length << 8 | bytes[2 + i];
        if (long_length > MAX_PAYLOAD)
            return -1;
        frame->size = long_length;
    }
    return 1;
}

/* Whether the frame may follow those before it. */
static bool in_order(struct websocket *websocket, const struct frame *frame)
{
    if (frame->opcode & CONTROL)
        return true;
    if ((frame->opcode == CONTINUATION) != websocket->fragmented)
        return false;
    websocket->fragmented = !frame->fin;
    return true;
}

/* Writes the frame's echo to `to`, at or before `from`: its size. */
static size_t turn_round(uint8_t *to, const uint8_t *from, const struct frame *frame)
{
    uint8_t mask[MASK_SIZE];
    if (frame->opcode == PONG)
        return 0;
    memcpy(mask, from + frame->head_size, MASK_SIZE);
    memmove(to, from, frame->head_size);
    if (frame->opcode == PING)
        to[0] = FIN | PONG;
    to[1] &= ~MASKED;
    unmask(to + frame->head_size, from + frame->head_size + MASK_SIZE, frame->size, mask);
    return frame->head_size + frame->size;
}

/* Answers the complete frames; the bytes that were used, or -1 when they are malformed. */
static long read_frames(struct connection *connection, uint8_t *bytes, size_t size)
{
    size_t used = 0, written = 0;
    uint32_t messages = 0;
    while (!connection->ended) {
        struct frame frame;
        int found = read_frame_head(bytes + used, size - used, &frame);
        if (found < 0)
            return -1;
        if (!found || size - used < frame.head_size + MASK_SIZE + frame.size)
            break;
        if (!in_order(&connection->websocket, &frame))
            return -1;
        written += turn_round(bytes + written, bytes + used, &frame);
        used += frame.head_size + MASK_SIZE + frame.size;
        connection->ended = frame.opcode == CLOSE;
        if (!(frame.opcode & CONTROL)) {
            messages += frame.fin;
            connection->listener->body_bytes += frame.size;
        }
    }
    if (written && !echo(connection, (char *)bytes, written, messages))
        return -1;
    return used;
}

static bool receive(struct connection *connection, char *bytes, size_t size)
{
    struct buffer *input = &connection->input;
    bool kept = buffer_size(input) > 0;
    if (kept) {
        buffer_append(input, bytes, size);
        bytes = buffer_bytes(input);
        size = buffer_size(input);
    }
    long used = 0;
    if (!connection->websocket.open) {
        used = shake_hands(connection, bytes, size);
        if (used < 0)
            return false;
    }
    if (connection->websocket.open) {
        long frames = read_frames(connection, (uint8_t *)bytes + used, size - used);
        if (frames < 0)
            return false;
        used += frames;
    }
    if (kept)
        buffer_take(input, used);
    else
        buffer_append(input, bytes + used, size - used);
    return true;
}

const struct protocol websocket_protocol = {
    .name = "websocket",
    .receive = receive,
    .answer = echo_answer,
    .flush = echo_flush,
};
