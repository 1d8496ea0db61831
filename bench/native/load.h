/* The parts of the load generator and what they know of each other.
 *
 *   load.c              phases of a run, and its report
 *   load_options.c      the command line
 *   load_connections.c  opens, reads, ends and replaces connections; begins and finishes exchanges
 *   load_arrivals.h     when the requests of an open loop are due
 *   load_output.c       request bytes that are the same each time
 *   load_tls.c          what --tls puts between a socket and its protocol
 *   load_tcp.c, load_http1.c, load_http2.c, load_websocket.c   what is asked and how an answer is checked
 *   load_head.c, load_chunked.c   pieces of HTTP/1
 *   load_usage.c        processor time of the watched processes
 *
 * A connection carries `--streams` exchanges at a time, one unless it is HTTP/2. */
#ifndef LOAD_H
#define LOAD_H

#include "bench.h"
#include "histogram.h"

#include <stdbool.h>

#define PATTERN_PERIOD (26 * 26)
#define RECEIVE_SIZE (256 * 1024)
#define MOST_TARGETS 1024
#define MOST_WATCHED 64

struct connection;
struct exchange;

/* Why an exchange failed; the names are the report's. */
enum kind {
    NO_ERROR,
    REFUSED,     /* nobody listens */
    RESET,       /* the server reset the connection */
    EARLY_CLOSE, /* it closed before the response was complete */
    NETWORK,     /* any other failure of a socket call */
    TLS,         /* its handshake was refused by either side, or a record cannot be read */
    HANDSHAKE,   /* the WebSocket upgrade was not granted correctly */
    STATUS,      /* not 200 */
    LENGTH,      /* the body is not as long as --bytes */
    BODY,        /* a wrong byte */
    TRAILERS,    /* no grpc-status: 0 */
    LEFTOVER,    /* bytes after the response, or without a request */
    MALFORMED,   /* not the protocol */
    STREAM_RESET,
    KINDS,
};

/* What differs between protocols. `output` is pending bytes that `flush` writes. */
struct protocol {
    const char *name;
    bool connects_each_time; /* a connection carries one exchange, and its connect counts */
    void (*prepare)(void);   /* once, before the first connection */
    void (*connected)(struct connection *); /* TCP is up; calls connection_ready, now or when the protocol is up too */
    void (*begin)(struct exchange *);       /* makes the request pending */
    void (*flush)(struct connection *);     /* writes what is pending, as far as the socket takes it */
    void (*receive)(struct connection *, const char *bytes, size_t size);
    void (*closed)(struct connection *);  /* the server sent its last byte */
    void (*release)(struct connection *); /* forget what this connection held; it may be opened again */
};

extern const struct protocol tcp_protocol, tcp_connect_protocol, http1_protocol, http1_close_protocol, http2_protocol,
    grpc_protocol, websocket_protocol;

struct options {
    const struct protocol *protocol;
    struct sockaddr_in targets[MOST_TARGETS];
    int target_count;
    int connections;
    int streams;
    int messages;
    int64_t request_bytes;
    int64_t bytes;
    const char *authority;
    const char *path;
    double rate; /* requests per second; 0 is the closed loop */
    bool poisson;
    int64_t warmup_ns;
    int64_t window_ns;
    int64_t limit; /* measured exchanges; 0 is no limit */
    pid_t watched[MOST_WATCHED];
    int watched_count;
    bool hold;
    const char *histogram_file;
    struct {
        bool on, resume;
        const char *sni, *cert, *key, *ca;
    } tls;
};

extern struct options options;
void read_options(int count, char **words);

/* One request and its response. HTTP/2 keeps here what it knows of the stream. */
struct exchange {
    struct connection *connection;
    int64_t started; /* when it began, or in an open loop should have begun; nanoseconds of now_ns() */
    bool busy;
    bool listed;    /* stands in the queue of free exchanges */
    bool postponed; /* was not seen by the server; begins again, with the same start, on the next connection */
    int32_t stream;
    enum kind wrong;
    bool status_ok;
    bool trailers_ok;
    uint8_t prefix[5]; /* of the gRPC message that is being read */
    int prefix_size;
    int messages;
    int64_t sent;
    int64_t received; /* body bytes; with gRPC those of the current message */
};

/* Bytes that are sent as they are. */
struct text {
    const char *bytes;
    size_t size;
};

/* An HTTP/1 response head, gathered only when it comes in pieces. */
struct head {
    char *gathered;
    size_t size;
};

struct head_fields {
    int status;
    int64_t length; /* -1: not given */
    bool chunked;
    bool close;
    struct text accept; /* Sec-WebSocket-Accept */
};

/* A chunked body on its way. */
struct chunks {
    enum chunk_stage { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILERS, CHUNK_DONE } stage;
    int64_t left;    /* of the chunk */
    int digits;      /* of the size that is being read */
    int line_length; /* of the trailer line that is being read */
};

struct http1_response {
    struct head head;
    struct chunks chunks;
    bool in_body;
    bool chunked;
    bool complete; /* only the server's close is awaited */
};

struct websocket_frame {
    uint8_t start[10]; /* its header */
    int start_size;
    int64_t left; /* payload bytes to come */
    bool in_message;
};

enum phase {
    CLOSED,     /* no socket */
    CONNECTING, /* until the protocol is ready for exchanges */
    READY,
    ENDED, /* closed as soon as the current events are handled */
};

struct connection {
    int fd;
    enum phase phase;
    const struct sockaddr_in *target;
    bool connected; /* TCP is up */
    bool secured;   /* and TLS */
    bool blocked;   /* the socket took less than was pending */
    bool closing;   /* the server closes: no further exchange */
    bool served;    /* finished an exchange since it was opened */
    bool settled;   /* was ready once, or failed once */
    bool opening;   /* counts among those that are opened at the same time */
    int busy;       /* exchanges under way */
    struct exchange *exchanges;
    int64_t retry_at;
    struct connection *next; /* in the one queue it is in */
    struct ssl_st *ssl;      /* with --tls, once TCP is up */

    const struct text *output;
    size_t sent;      /* bytes of `output` */
    int64_t received; /* body bytes */
    union {
        struct http1_response http1;
        struct {
            struct head head;
            struct websocket_frame frame;
            bool upgraded;
        } websocket;
        struct http2 *http2;
    };
};

/* load_connections.c */
struct tally {
    bool counting; /* inside the measured window */
    int64_t limit; /* exchanges to count at most; 0 is no limit */
    int64_t errors[KINDS];
    int64_t begun; /* exchanges since the start */
    int64_t finished;
    int64_t handshakes; /* of TLS, inside the window */
    int64_t resumed;    /* of these */
    struct histogram latencies;
};
extern struct tally tally;

void connections_prepare(void);
void connections_open(void);   /* all of them; they are ready or have failed when connections_unsettled() is 0 */
int connections_unsettled(void);
int connections_held(void);    /* open ones */
void connections_start(void);  /* from here on each asks */
void connections_turn(int64_t until_ns); /* waits for events, at most until then, and handles them */
void connections_watch_input(void);      /* stop when stdin ends */
bool connections_input_ended(void);
int64_t connections_overdue(int64_t now); /* open loop: requests that were due and have not begun */

void connection_ready(struct connection *connection);
void connection_end(struct connection *connection); /* no error */
void connection_fail(struct connection *connection, enum kind kind);
void connection_closed(struct connection *connection); /* by the server: an error when an exchange is under way */
void exchange_done(struct exchange *exchange);
void exchange_failed(struct exchange *exchange, enum kind kind);
void exchange_postpone(struct exchange *exchange);
enum kind kind_of(int code); /* of an errno */

/* load_tls.c */
void tls_prepare(void); /* once, before the first connection */
void tls_start(struct connection *connection); /* TCP is up; the protocol's `connected` is called when TLS is */
void tls_continue(struct connection *connection); /* a handshake whose bytes the socket did not take */
void tls_receive(struct connection *connection, const char *bytes, size_t size); /* ciphertext; plaintext goes to the protocol */
ssize_t tls_send(struct connection *connection, const char *bytes, size_t size);
void tls_release(struct connection *connection);

/* As send(2): how many bytes were taken, or -1 with errno. */
static inline ssize_t connection_send(struct connection *connection, const void *bytes, size_t size)
{
    return options.tls.on ? tls_send(connection, bytes, size) : send(connection->fd, bytes, size, MSG_NOSIGNAL);
}

/* load_output.c */
extern struct text request; /* what each exchange sends */
void send_output(struct connection *connection);
void set_output(struct connection *connection, const struct text *output);
void *allocate(size_t size); /* zeroed */
struct text text_of(const char *head, size_t head_size, int64_t body_size); /* head, then a body of the pattern */
bool matches_pattern(const char *bytes, size_t size, int64_t offset);
void prepare_pattern(void);

/* load_head.c: the length of a whole head, of which `*used` are in `bytes`; 0 while it is incomplete, -1 when it is too long. */
long head_take(struct head *head, const char *bytes, size_t size, const char **text, size_t *used);
bool head_read(const char *text, size_t size, struct head_fields *fields);
void head_release(struct head *head);

/* load_chunked.c: how many of `bytes` belong to the body's framing and data, -1 when malformed; `data` gets each piece. */
typedef bool chunk_data(struct connection *connection, const char *bytes, size_t size);
long chunks_take(struct chunks *chunks, const char *bytes, size_t size, chunk_data *data, struct connection *connection);

/* load_usage.c */
struct usage {
    int64_t cpu_ns;
    int64_t switches; /* how often a thread was put on a processor */
    bool gone;        /* one of the processes has ended */
};
struct usage usage_of(const pid_t *processes, int count); /* with all their descendants */

#endif
