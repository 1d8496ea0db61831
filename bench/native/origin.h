/* The parts of the origin: connections and the time of their answers (origin.c), and one file for each protocol.
 *
 * A protocol reads requests out of what arrives and calls `respond` for each; `answer` is called when the response is due, at
 * once or after the listener's delay. What is to be sent is sent by `flush`, once for all that one read or one moment brought. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <stdbool.h>

#include "bench.h"
#include "buffer.h"

struct connection;

/* What epoll reports: the first member of everything that is registered. */
enum source { LISTENER, CONNECTION, SIGNALS };

/* What is due: `exchanges` are counted when it is. The protocol gives `subject` its meaning. */
struct answer {
    uint32_t subject, exchanges;
};

struct protocol {
    const char *name;
    void (*prepare)(void);                                                /* once, after the options are read */
    void (*open)(struct connection *connection);                          /* may be NULL */
    bool (*receive)(struct connection *connection, char *bytes, size_t size); /* false: malformed */
    void (*answer)(struct connection *connection, uint32_t subject);
    bool (*flush)(struct connection *connection); /* false: the connection is lost; sets `unsent` and `paused` */
    void (*close)(struct connection *connection); /* may be NULL */
};

struct listener {
    enum source source;
    int fd;
    struct sockaddr_in address;
    int64_t delay_ns;
    struct delay_queue *queue; /* NULL without delay */
    uint64_t exchanges, body_bytes;
};

/* Where the reading of one HTTP/1 request stands. */
struct http1 {
    enum { HEAD, BODY, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END, TRAILER } state;
    uint64_t remaining;   /* of a body or a chunk */
    unsigned line_bytes;  /* of the line that is read: chunk size, trailer */
    bool carriage_return; /* the last byte of it was one */
    uint8_t kind;         /* of the response to this request: see origin_http1.c */
    uint8_t special;      /* kind of the response that comes after all `owed`, 0: none */
    bool held;            /* nothing more is read before the special response is sent */
    uint64_t owed;        /* plain responses to send */
    size_t offset;        /* sent of the first one */
};

struct websocket {
    bool open, fragmented;
};

struct http2;

struct connection {
    enum source source;
    int fd;
    uint32_t generation; /* changes when the connection ends: an answer that is due later finds out */
    uint32_t interest;   /* what epoll looks for */
    uint32_t awaiting;   /* answers that are not due yet */
    bool paused;         /* nothing more is read for now */
    bool unsent;         /* the socket is full */
    bool ended;          /* no more requests; closed when everything is answered */
    bool dirty;          /* in the list of those to flush */
    struct listener *listener;
    struct connection *next; /* in the list of free or of dirty ones */
    struct buffer input;     /* an incomplete request */
    struct buffer output;    /* what the socket did not take, or what is not due */
    size_t released;         /* bytes of `output` that are due */
    union {
        struct http1 http1;
        struct websocket websocket;
        struct http2 *http2;
    };
};

struct options {
    size_t bytes;
    uint32_t messages;
    bool close;
};
extern struct options options;

extern const struct protocol http1_protocol, http2_protocol, tcp_protocol, websocket_protocol;

/* A request is complete: answers it now, or when its delay has passed. */
void respond(struct connection *connection, struct answer answer);

/* Sends; the bytes that were taken, or -1 when the connection is lost. Fewer than `size` sets `unsent`. */
ssize_t send_some(struct connection *connection, const char *bytes, size_t size);

/* Answers with these bytes (origin_echo.c): the end of `output` when they cannot or may not be sent yet. */
bool echo(struct connection *connection, const char *bytes, size_t size, uint32_t exchanges);
void echo_answer(struct connection *connection, uint32_t subject);
bool echo_flush(struct connection *connection);

/* Memory, or the end of the program. */
void *allocated(size_t size);

#endif
