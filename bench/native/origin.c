/* origin: the servers of a benchmark. One process, one thread, any number of listeners; each is one endpoint of a service.
 *
 * This file: options, the loop, connections, and the queue of answers that are delayed. */
#include "origin.h"
#include "signals.h"

#include <getopt.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define MAX_LISTENERS 1024
#define MAX_BYTES (1 << 30)
#define MAX_DELAY_US 100000000
#define RECEIVE_BYTES (256 << 10)
#define EVENTS 256
#define SLAB 64

static const char usage[] =
    "usage: origin --protocol http1|http2|tcp|websocket --listen ADDR[,ADDR...] [options]\n"
    "\n"
    "Answers requests on every address. Its first line names the addresses; {\"exchanges\":[...]} counts the answers by\n"
    "listener, on SIGUSR1 and at the end. tcp counts each piece that is received, websocket each message.\n"
    "\n"
    "  --protocol P      http1; http2 without TLS, by prior knowledge, which also answers gRPC; tcp and websocket echo\n"
    "  --listen ADDR     such as 127.0.0.1:8080; port 0 takes any free one\n"
    "  --bytes N         length of a response body, or of a gRPC message (128)\n"
    "  --messages N      messages in a gRPC response, each in a DATA frame of its own if it fits (1)\n"
    "  --delay-us N      answer so many microseconds after the request is complete (0)\n"
    "  --slow-index I    the listener, from 0, that has a delay of its own: --slow-us\n"
    "  --slow-us N       its delay in microseconds\n"
    "  --close           http1: close the connection after each response\n";

struct options options = {.bytes = 128, .messages = 1};

static const struct protocol *const protocols[] = {&http1_protocol, &http2_protocol, &tcp_protocol, &websocket_protocol};
static const struct protocol *protocol;
static struct listener listeners[MAX_LISTENERS];
static size_t listener_count;
static enum source signals = SIGNALS;
static int epoll_fd;
static struct connection *unused, *dirty;
static char received[RECEIVE_BYTES];

void *allocated(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        die("out of memory for %zu bytes", size);
    return memory;
}

/* ---- Delayed answers: one queue for each delay, so that the first of it is always the next that is due */

struct delayed {
    int64_t due_ns;
    struct connection *connection;
    uint32_t generation;
    struct answer answer;
};

struct delay_queue {
    struct delayed *ring; /* capacity is a power of two */
    size_t first, count, capacity;
};

static struct delay_queue usual_queue, slow_queue;

static void grow(struct delay_queue *queue)
{
    size_t capacity = queue->capacity ? 2 * queue->capacity : 1024;
    struct delayed *ring = allocated(capacity * sizeof *ring);
    for (size_t i = 0; i < queue->count; i++)
        ring[i] = queue->ring[(queue->first + i) & (queue->capacity - 1)];
    free(queue->ring);
    *queue = (struct delay_queue){.ring = ring, .count = queue->count, .capacity = capacity};
}

static void answer_now(struct connection *connection, struct answer answer)
{
    connection->listener->exchanges += answer.exchanges;
    protocol->answer(connection, answer.subject);
}

void respond(struct connection *connection, struct answer answer)
{
    struct delay_queue *queue = connection->listener->queue;
    if (!queue) {
        answer_now(connection, answer);
        return;
    }
    if (queue->count == queue->capacity)
        grow(queue);
    queue->ring[(queue->first + queue->count++) & (queue->capacity - 1)] = (struct delayed){
        .due_ns = now_ns() + connection->listener->delay_ns,
        .connection = connection,
        .generation = connection->generation,
        .answer = answer,
    };
    connection->awaiting++;
}

static void answer_due(struct delay_queue *queue, int64_t now)
{
    while (queue->count && queue->ring[queue->first].due_ns <= now) {
        struct delayed delayed = queue->ring[queue->first];
        struct connection *connection = delayed.connection;
        queue->first = (queue->first + 1) & (queue->capacity - 1);
        queue->count--;
        if (connection->generation != delayed.generation)
            continue;
        connection->awaiting--;
        answer_now(connection, delayed.answer);
        if (!connection->dirty) {
            connection->dirty = true;
            connection->next = dirty;
            dirty = connection;
        }
    }
}

/* Until the next answer is due; NULL when none is. */
static struct timespec *time_to_next(struct timespec *wait)
{
    int64_t due = INT64_MAX;
    for (int i = 0; i < 2; i++) {
        struct delay_queue *queue = i ? &slow_queue : &usual_queue;
        if (queue->count && queue->ring[queue->first].due_ns < due)
            due = queue->ring[queue->first].due_ns;
    }
    if (due == INT64_MAX)
        return NULL;
    int64_t left = due - now_ns();
    left = left > 0 ? left : 0;
    *wait = (struct timespec){.tv_sec = left / SECOND_NS, .tv_nsec = left % SECOND_NS};
    return wait;
}

/* ---- Connections */

static void look_for(struct connection *connection, uint32_t interest, int operation)
{
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
    connection->interest = interest;
}

/* Memory for connections comes by the slab, and is never given back. */
struct slab {
    struct slab *next;
    struct connection connections[SLAB];
};

static struct connection *unused_connection(void)
{
    static struct slab *slabs;
    if (!unused) {
        struct slab *slab = allocated(sizeof *slab);
        slab->next = slabs;
        slabs = slab;
        for (int i = 0; i < SLAB; i++) {
            slab->connections[i].next = unused;
            unused = &slab->connections[i];
        }
    }
    struct connection *connection = unused;
    unused = connection->next;
    return connection;
}

static void open_connection(struct listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            die("no descriptor is left for another connection: raise the limit (ulimit -n)");
        return; /* it is gone again */
    }
    struct connection *connection = unused_connection();
    *connection = (struct connection){
        .source = CONNECTION,
        .fd = fd,
        .listener = listener,
        .generation = connection->generation,
        .input = connection->input,
        .output = connection->output,
    };
    look_for(connection, EPOLLIN, EPOLL_CTL_ADD);
    if (protocol->open)
        protocol->open(connection);
}

/* Its memory is kept for another connection, and a delayed answer may still point at it. */
static void close_connection(struct connection *connection)
{
    if (protocol->close)
        protocol->close(connection);
    close(connection->fd);
    buffer_clear(&connection->input);
    buffer_clear(&connection->output);
    connection->generation++;
    connection->next = unused;
    unused = connection;
}

ssize_t send_some(struct connection *connection, const char *bytes, size_t size)
{
    ssize_t sent = send(connection->fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            return -1;
        sent = 0;
    }
    connection->unsent = (size_t)sent < size;
    return sent;
}

/* Sends what is due, and looks for what the connection waits for now. */
static void flush(struct connection *connection)
{
    connection->unsent = false;
    if (!protocol->flush(connection)) {
        close_connection(connection);
        return;
    }
    if (connection->ended && !connection->unsent && !connection->awaiting) {
        close_connection(connection);
        return;
    }
    uint32_t interest = (connection->ended || connection->paused ? 0 : EPOLLIN) | (connection->unsent ? EPOLLOUT : 0);
    if (interest != connection->interest)
        look_for(connection, interest, EPOLL_CTL_MOD);
}

static void serve(struct connection *connection, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) { /* HUP means both directions: we never end only ours */
        close_connection(connection);
        return;
    }
    if (events & EPOLLIN) {
        ssize_t size = recv(connection->fd, received, sizeof received, 0);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size == 0)
            connection->ended = true;
        if (size < 0 || (size > 0 && !protocol->receive(connection, received, size))) {
            close_connection(connection);
            return;
        }
    }
    flush(connection);
}

/* ---- The program */

static void print_counts(void)
{
    printf("{\"exchanges\":[");
    for (size_t i = 0; i < listener_count; i++)
        printf("%s%llu", i ? "," : "", (unsigned long long)listeners[i].exchanges);
    printf("],\"body_bytes\":[");
    for (size_t i = 0; i < listener_count; i++)
        printf("%s%llu", i ? "," : "", (unsigned long long)listeners[i].body_bytes);
    printf("]}\n");
    fflush(stdout);
}

static void heed_signals(int fd)
{
    for (int number; (number = next_signal(fd));) {
        print_counts();
        if (number != SIGUSR1)
            exit(0);
    }
}

static void loop(int signal_fd)
{
    for (;;) {
        struct epoll_event events[EVENTS];
        struct timespec wait;
        int count = epoll_pwait2(epoll_fd, events, EVENTS, time_to_next(&wait), NULL);
        if (count < 0 && errno != EINTR)
            die("epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            switch (*(enum source *)events[i].data.ptr) {
            case CONNECTION:
                serve(events[i].data.ptr, events[i].events);
                break;
            case LISTENER:
                open_connection(events[i].data.ptr);
                break;
            case SIGNALS:
                heed_signals(signal_fd);
            }
        }
        if (!usual_queue.count && !slow_queue.count)
            continue;
        int64_t now = now_ns();
        answer_due(&usual_queue, now);
        answer_due(&slow_queue, now);
        while (dirty) {
            struct connection *connection = dirty;
            dirty = connection->next;
            connection->dirty = false;
            flush(connection);
        }
    }
}

static void watch(int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* Listens on all of "ADDR,ADDR". */
static void listen_on_all(char *addresses)
{
    char *rest = NULL;
    for (char *text = strtok_r(addresses, ",", &rest); text; text = strtok_r(NULL, ",", &rest)) {
        if (listener_count == MAX_LISTENERS)
            die("--listen takes at most %d addresses", MAX_LISTENERS);
        struct listener *listener = &listeners[listener_count++];
        listener->source = LISTENER;
        listener->address = address_of(text);
        listener->fd = listen_on(&listener->address);
        watch(listener->fd, listener);
    }
    if (!listener_count)
        die("--listen needs an address such as 127.0.0.1:0");
}

static void set_delays(int64_t delay_us, int64_t slow_index, int64_t slow_us)
{
    if ((slow_index < 0) != (slow_us < 0))
        die("--slow-index and --slow-us go together");
    if (slow_index >= (int64_t)listener_count)
        die("--slow-index takes 0 to %zu here, the number of a listener", listener_count - 1);
    for (int64_t i = 0; i < (int64_t)listener_count; i++) {
        listeners[i].delay_ns = 1000 * (i == slow_index ? slow_us : delay_us);
        if (listeners[i].delay_ns)
            listeners[i].queue = i == slow_index ? &slow_queue : &usual_queue;
    }
}

static void print_addresses(void)
{
    for (size_t i = 0; i < listener_count; i++) {
        char text[ADDRESS_TEXT];
        printf("%s\"%s\"", i ? "," : "{\"addresses\":[", address_text(&listeners[i].address, text));
    }
    printf("]}\n");
    fflush(stdout);
}

static const struct protocol *protocol_named(const char *name)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (!strcmp(protocols[i]->name, name))
            return protocols[i];
    die("--protocol takes http1, http2, tcp or websocket, not '%s'", name);
}

int main(int count, char **words)
{
    static const struct option known[] = {
        {"protocol", required_argument, NULL, 'p'}, {"listen", required_argument, NULL, 'l'},
        {"bytes", required_argument, NULL, 'b'},    {"messages", required_argument, NULL, 'm'},
        {"delay-us", required_argument, NULL, 'd'}, {"slow-index", required_argument, NULL, 'i'},
        {"slow-us", required_argument, NULL, 's'},  {"close", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    char *addresses = NULL;
    int64_t delay_us = 0, slow_index = -1, slow_us = -1;
    for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (option) {
        case 'p': protocol = protocol_named(optarg); break;
        case 'l': addresses = optarg; break;
        case 'b': options.bytes = number_of("bytes", optarg, 0, MAX_BYTES); break;
        case 'm': options.messages = number_of("messages", optarg, 1, MAX_BYTES); break;
        case 'd': delay_us = number_of("delay-us", optarg, 0, MAX_DELAY_US); break;
        case 'i': slow_index = number_of("slow-index", optarg, 0, MAX_LISTENERS - 1); break;
        case 's': slow_us = number_of("slow-us", optarg, 0, MAX_DELAY_US); break;
        case 'c': options.close = true; break;
        case 'h': fputs(usage, stdout); return 0;
        default: return 1; /* getopt has said why */
        }
    }
    if (optind < count)
        die("'%s' is not an option; --help names them", words[optind]);
    if (!protocol || !addresses)
        die("--protocol and --listen are needed; --help explains them");
    if (options.close && protocol != &http1_protocol)
        die("--close is for http1 only");
    raise_file_limit();
    prctl(PR_SET_TIMERSLACK, 1); /* nanosecond: a delay is to be exact */
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
    int signal_fd = signal_descriptor();
    watch(signal_fd, &signals);
    if (protocol->prepare)
        protocol->prepare();
    listen_on_all(addresses);
    set_delays(delay_us, slow_index, slow_us);
    print_addresses();
    loop(signal_fd);
}
