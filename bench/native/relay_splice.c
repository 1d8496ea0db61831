/* Carries bytes through a pipe per direction, so that they never reach this program's memory.
 *
 * A pipe is made for the first byte of a flow; an empty one is kept for another connection. */
#include "relay.h"

#include <fcntl.h>

#define MAX_SPARE 1024

static size_t pipe_size;
static int spare[MAX_SPARE][2];
static size_t spare_count;

static void prepare(size_t size)
{
    pipe_size = size;
}

static void take_pipe(struct flow *flow)
{
    if (spare_count) {
        memcpy(flow->pipe, spare[--spare_count], sizeof flow->pipe);
        return;
    }
    if (pipe2(flow->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
        die("no descriptor is left for a pipe: raise the limit (ulimit -n)");
    fcntl(flow->pipe[1], F_SETPIPE_SZ, (int)pipe_size); /* refused beyond the user's share: it stays small */
}

/* The bytes that were moved, -1 with EAGAIN when the socket is empty or full. */
static ssize_t move(int from, int to, size_t size)
{
    return splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
}

static bool write_held(struct flow *flow)
{
    ssize_t moved = move(flow->pipe[0], flow->to, flow->held);
    if (moved < 0)
        return errno == EAGAIN;
    flow->held -= moved;
    return true;
}

static bool carry(struct flow *flow)
{
    if (flow->pipe[0] < 0)
        take_pipe(flow);
    ssize_t moved = move(flow->from, flow->pipe[1], pipe_size);
    if (moved < 0)
        return errno == EAGAIN;
    if (moved == 0) {
        flow->ended = true;
        return true;
    }
    *flow->bytes += moved;
    flow->held = moved;
    return write_held(flow);
}

static void release(struct flow *flow)
{
    if (flow->pipe[0] < 0)
        return;
    if (!flow->held && spare_count < MAX_SPARE) {
        memcpy(spare[spare_count++], flow->pipe, sizeof flow->pipe);
        return;
    }
    close(flow->pipe[0]);
    close(flow->pipe[1]);
}

const struct carrier splice_carrier = {
    .name = "splice",
    .prepare = prepare,
    .carry = carry,
    .write_held = write_held,
    .release = release,
};
