/* Carries bytes through one buffer that all connections share; only what a socket does not take is kept for it. */
#include "relay.h"

static char *shared;
static size_t shared_size;

static void prepare(size_t size)
{
    shared = malloc(size);
    shared_size = size;
    if (!shared)
        die("out of memory for a buffer of %zu bytes", size);
}

/* The bytes that were taken, 0 when the socket is full, -1 when it is lost. */
static ssize_t send_some(int fd, const char *bytes, size_t size)
{
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static bool carry(struct flow *flow)
{
    ssize_t size = recv(flow->from, shared, shared_size, 0);
    if (size < 0)
        return errno == EAGAIN;
    if (size == 0) {
        flow->ended = true;
        return true;
    }
    *flow->bytes += size;
    ssize_t sent = send_some(flow->to, shared, size);
    if (sent < 0)
        return false;
    buffer_append(&flow->buffer, shared + sent, size - sent);
    flow->held = size - sent;
    return true;
}

static bool write_held(struct flow *flow)
{
    ssize_t sent = send_some(flow->to, buffer_bytes(&flow->buffer), flow->held);
    if (sent < 0)
        return false;
    buffer_take(&flow->buffer, sent);
    flow->held -= sent;
    return true;
}

static void release(struct flow *flow)
{
    buffer_clear(&flow->buffer);
}

const struct carrier copy_carrier = {
    .name = "copy",
    .prepare = prepare,
    .carry = carry,
    .write_held = write_held,
    .release = release,
};
