/* The parts of the floor: its sockets (floor_rig.c), two ways for a proxy to call the kernel, and what the machine is. */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdbool.h>

#include "bench.h"

enum side { CLIENT, SERVER };

/* `count` clients, the proxy's two sockets for each, and `count` servers, all in this thread. */
struct rig {
    int count;
    int *ends[2];      /* the clients' and the servers' own sockets: blocking */
    int *proxy[2];     /* the proxy's sockets that face them */
    size_t size[2];    /* of what a client and a server sends */
    char *message[2];  /* what they send */
    char *passing;     /* what the proxy has received: the larger size for each connection */
    size_t room;       /* of each in `passing` */
};

/* What the proxy does for one direction, in order. */
enum step { WAIT, RECEIVE, SEND, STEPS };

struct backend {
    const char *name;
    const char *(*open)(struct rig *rig); /* NULL, or why it cannot be had */
    /* Takes a message of every connection from one side to the other; adds the nanoseconds of each step. */
    void (*pass)(struct rig *rig, enum side from, int64_t ns[STEPS]);
    void (*close)(void);
};

extern const struct backend epoll_backend, uring_backend;

struct rig *rig_of(int count, size_t request_size, size_t response_size);
void free_rig(struct rig *rig);

/* All ends of one side send their message. */
void send_all(struct rig *rig, enum side side);
/* All ends of one side receive the other side's message, and check it. */
void receive_all(struct rig *rig, enum side side);

void set_blocking(struct rig *rig, bool blocking); /* the proxy's sockets */

/* Where the message of a connection is while it passes. */
static inline char *passing(struct rig *rig, int index)
{
    return rig->passing + index * rig->room;
}

/* Prints what decides the cost of a socket call on this machine. */
void print_machine(void);

/* Memory, or the end of the program. */
void *allocated(size_t count, size_t size);

#endif
