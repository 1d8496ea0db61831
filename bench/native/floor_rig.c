/* The sockets of the floor, and the clients' and servers' part of an exchange, which is not timed. */
#include "floor.h"

#include <fcntl.h>
#include <poll.h>

void *allocated(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        die("out of memory for %zu bytes", count * size);
    return memory;
}

static void set_blocking_socket(int fd, bool blocking)
{
    if (fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK) < 0)
        die("fcntl: %s", strerror(errno));
}

/* The two ends of a new connection. */
static void connect_pair(int listener, const struct sockaddr_in *address, int *connecting, int *accepted)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    *connecting = connect_to(address);
    if (*connecting < 0)
        die("cannot connect: %s", strerror(errno));
    if (poll(&ready, 1, 5000) != 1 || (*accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        die("a connection over loopback was not accepted");
    set_blocking_socket(*connecting, true);
}

struct rig *rig_of(int count, size_t request_size, size_t response_size)
{
    struct rig *rig = allocated(1, sizeof *rig);
    struct sockaddr_in address = address_of("127.0.0.1:0");
    int listener = listen_on(&address);
    rig->count = count;
    rig->size[CLIENT] = request_size;
    rig->size[SERVER] = response_size;
    rig->room = request_size > response_size ? request_size : response_size;
    rig->passing = allocated(count, rig->room);
    for (int side = 0; side < 2; side++) {
        rig->ends[side] = allocated(count, sizeof(int));
        rig->proxy[side] = allocated(count, sizeof(int));
        rig->message[side] = allocated(rig->size[side], 1);
        for (size_t i = 0; i < rig->size[side]; i++)
            rig->message[side][i] = body_byte(i);
    }
    for (int i = 0; i < count; i++) {
        connect_pair(listener, &address, &rig->ends[CLIENT][i], &rig->proxy[CLIENT][i]);
        connect_pair(listener, &address, &rig->proxy[SERVER][i], &rig->ends[SERVER][i]);
    }
    close(listener);
    return rig;
}

void free_rig(struct rig *rig)
{
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < rig->count; i++) {
            close(rig->ends[side][i]);
            close(rig->proxy[side][i]);
        }
        free(rig->ends[side]);
        free(rig->proxy[side]);
        free(rig->message[side]);
    }
    free(rig->passing);
    free(rig);
}

void set_blocking(struct rig *rig, bool blocking)
{
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < rig->count; i++)
            set_blocking_socket(rig->proxy[side][i], blocking);
}

void send_all(struct rig *rig, enum side side)
{
    for (int i = 0; i < rig->count; i++)
        if (send(rig->ends[side][i], rig->message[side], rig->size[side], MSG_NOSIGNAL) != (ssize_t)rig->size[side])
            die("a message could not be sent: %s", strerror(errno));
}

void receive_all(struct rig *rig, enum side side)
{
    enum side other = 1 - side;
    for (int i = 0; i < rig->count; i++) {
        char *message = passing(rig, i);
        memset(message, 0, rig->size[other]);
        if (recv(rig->ends[side][i], message, rig->size[other], MSG_WAITALL) != (ssize_t)rig->size[other])
            die("a message did not arrive: %s", strerror(errno));
        if (memcmp(message, rig->message[other], rig->size[other]))
            die("a message arrived damaged");
    }
}
