/* The parts of the relay: pairs of connections and when to read and write (relay.c), and two ways to carry the bytes. */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>

#include "bench.h"
#include "buffer.h"

/* One direction of a pair: what one end sends and the other is to receive. */
struct flow {
    int from, to;         /* descriptors */
    size_t held;          /* bytes that `to` has not taken yet; nothing is read from `from` while there are any */
    struct buffer buffer; /* copy: where they are */
    int pipe[2];          /* splice: where they are; -1 before the first byte */
    bool ended, shut;     /* the end was read; it was passed on */
    uint64_t *bytes;      /* counts what was read */
};

struct carrier {
    const char *name;
    void (*prepare)(size_t size);            /* of the buffer or of each pipe */
    bool (*carry)(struct flow *flow);        /* reads once and writes; false: the connection is lost */
    bool (*write_held)(struct flow *flow);   /* writes what is held; false: the connection is lost */
    void (*release)(struct flow *flow);      /* gives back what it has */
};

extern const struct carrier copy_carrier, splice_carrier;

#endif
