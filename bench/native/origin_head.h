/* The head of an HTTP/1 request: what the origin has to know of it. */
#ifndef ORIGIN_HEAD_H
#define ORIGIN_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_HEAD_BYTES (64 << 10)

struct request_head {
    bool head_method;        /* the response has no body */
    bool close;              /* the client wants the connection to end, or HTTP/1.0 does */
    bool chunked, has_length;
    bool upgrade_websocket;
    uint64_t content_length;
    const char *websocket_key; /* in the text that was parsed */
    size_t websocket_key_size;
};

/* Reads the head at the start of `text`: its size with the empty line, 0 when it is incomplete, -1 when it is malformed. */
long read_head(const char *text, size_t size, struct request_head *head);

#endif
