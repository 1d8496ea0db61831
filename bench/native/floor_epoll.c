/* epoll_wait for all that is ready, then recv of each, then send of each. */
#include "floor.h"

#include <sys/epoll.h>

static int epoll_fds[2] = {-1, -1}; /* for the sockets that face either side */
static struct epoll_event *events;
static size_t *received; /* of each connection's message */

static const char *open_sets(struct rig *rig)
{
    set_blocking(rig, false);
    events = allocated(rig->count, sizeof *events);
    received = allocated(rig->count, sizeof *received);
    for (int side = 0; side < 2; side++) {
        epoll_fds[side] = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fds[side] < 0)
            die("epoll_create1: %s", strerror(errno));
        for (int i = 0; i < rig->count; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
            if (epoll_ctl(epoll_fds[side], EPOLL_CTL_ADD, rig->proxy[side][i], &event) < 0)
                die("epoll_ctl: %s", strerror(errno));
        }
    }
    return NULL;
}

/* Receives from those that are ready: the number of messages that became complete. */
static int receive_ready(struct rig *rig, enum side from, int ready)
{
    int complete = 0;
    for (int i = 0; i < ready; i++) {
        uint32_t index = events[i].data.u32;
        size_t left = rig->size[from] - received[index];
        ssize_t size = recv(rig->proxy[from][index], passing(rig, index) + received[index], left, 0);
        if (size <= 0)
            die("recv: %s", size ? strerror(errno) : "the connection ended");
        received[index] += size;
        complete += (size_t)size == left;
    }
    return complete;
}

static void pass(struct rig *rig, enum side from, int64_t ns[STEPS])
{
    int64_t begin = now_ns();
    memset(received, 0, rig->count * sizeof *received);
    for (int complete = 0; complete < rig->count;) {
        int ready = epoll_wait(epoll_fds[from], events, rig->count, -1);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        int64_t woken = now_ns();
        complete += receive_ready(rig, from, ready);
        int64_t end = now_ns();
        ns[WAIT] += woken - begin;
        ns[RECEIVE] += end - woken;
        begin = end;
    }
    for (int i = 0; i < rig->count; i++)
        if (send(rig->proxy[1 - from][i], passing(rig, i), rig->size[from], MSG_NOSIGNAL) != (ssize_t)rig->size[from])
            die("a message could not be passed on: %s", strerror(errno));
    ns[SEND] += now_ns() - begin;
}

static void close_sets(void)
{
    for (int side = 0; side < 2; side++)
        close(epoll_fds[side]);
    free(events);
    free(received);
}

const struct backend epoll_backend = {.name = "epoll", .open = open_sets, .pass = pass, .close = close_sets};
