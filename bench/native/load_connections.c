/* Connections and their exchanges: opened, asked, read, ended, replaced.
 *
 * Events are edge-triggered: a descriptor is registered once and a short read means drained. A connection that ends is only marked;
 * its socket is closed when all events of the turn are handled, so that no event meets a reused connection. */
#include "load.h"
#include "load_arrivals.h"

#include <sys/epoll.h>

enum {
    EVENTS = 256,
    OPENING_AT_ONCE = 32, /* below the backlog of common servers */
    LONGEST_WAIT_MS = 10, /* how late a signal or a due retry may be noticed */
};
#define RETRY_NS (SECOND_NS / 100) /* before a connection that failed without a single exchange is opened again */

struct tally tally;

static struct connection *connections;
static struct exchange *exchanges;
static int exchange_count;
static int poll_fd;
static bool running;
static bool input_ended;
static int unsettled, opening;

/* Connections that wait: to have their socket closed, to be opened, and to be opened later. */
struct queue {
    struct connection *first, *last;
};
static struct queue ended, waiting, retrying;

static void append(struct queue *queue, struct connection *connection)
{
    connection->next = NULL;
    if (queue->first)
        queue->last->next = connection;
    else
        queue->first = connection;
    queue->last = connection;
}

static struct connection *take_first(struct queue *queue)
{
    struct connection *connection = queue->first;
    queue->first = connection->next;
    return connection;
}

/* Open loop: free exchanges in a ring, so that connections take turns. One of a connection that has ended is dropped when met. */
static struct exchange **ring;
static int ring_first, ring_count;
static struct arrivals arrivals;

static void list_free(struct exchange *exchange)
{
    if (exchange->listed)
        return;
    exchange->listed = true;
    ring[(ring_first + ring_count++) % exchange_count] = exchange;
}

static bool takes_exchanges(const struct connection *connection)
{
    if (options.protocol->connects_each_time)
        return connection->phase == CLOSED;
    return connection->phase == READY && !connection->closing;
}

static struct exchange *take_free(void)
{
    while (ring_count) {
        struct exchange *exchange = ring[ring_first];
        ring_first = (ring_first + 1) % exchange_count;
        ring_count--;
        exchange->listed = false;
        if (!exchange->busy && takes_exchanges(exchange->connection))
            return exchange;
    }
    return NULL;
}

/* The socket of a connection. */

enum kind kind_of(int code)
{
    return code == ECONNREFUSED ? REFUSED : code == ECONNRESET || code == EPIPE ? RESET : code == EPROTO ? TLS : NETWORK;
}

/* Each from the next of 199 source addresses: ports in TIME_WAIT do not run out. */
static int connect_from_next_source(const struct sockaddr_in *target)
{
    static unsigned int turn;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 199);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0 ||
        (connect(fd, (const struct sockaddr *)target, sizeof *target) < 0 && errno != EINPROGRESS)) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static bool open_socket(struct connection *connection)
{
    connection->phase = CONNECTING;
    connection->fd = options.protocol->connects_each_time ? connect_from_next_source(connection->target)
                                                          : connect_to(connection->target);
    if (connection->fd < 0) {
        connection_fail(connection, kind_of(errno));
        return false;
    }
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = connection}};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
    return true;
}

static void settle(struct connection *connection)
{
    if (!connection->settled)
        unsettled--;
    connection->settled = true;
}

static void leave_opening(struct connection *connection)
{
    if (connection->opening)
        opening--;
    connection->opening = false;
}

/* Exchanges. */

static void begin(struct exchange *exchange, int64_t started)
{
    struct connection *connection = exchange->connection;
    exchange->started = started;
    exchange->busy = true;
    connection->busy++;
    tally.begun++;
    if (options.protocol->connects_each_time && !open_socket(connection))
        return;
    options.protocol->begin(exchange);
}

/* A free exchange asks again, or waits for the next request that is due. */
static void free_exchange(struct exchange *exchange, int64_t now)
{
    if (exchange->postponed) {
        exchange->postponed = false;
        begin(exchange, exchange->started);
    } else if (options.rate > 0) {
        list_free(exchange);
    } else {
        begin(exchange, now);
    }
}

static void free_all(struct connection *connection, int64_t now)
{
    int count = options.hold ? 1 : options.streams;
    for (int i = 0; i < count && connection->phase != ENDED; i++)
        if (!connection->exchanges[i].busy)
            free_exchange(&connection->exchanges[i], now);
}

static void finish(struct exchange *exchange)
{
    exchange->busy = false;
    exchange->connection->busy--;
    tally.finished++;
}

static void after_exchange(struct exchange *exchange, int64_t now)
{
    struct connection *connection = exchange->connection;
    if (options.protocol->connects_each_time || (connection->closing && !connection->busy))
        connection_end(connection);
    else if (!connection->closing && !options.hold)
        free_exchange(exchange, now);
}

void exchange_done(struct exchange *exchange)
{
    int64_t now = now_ns();
    struct connection *connection = exchange->connection;
    if (tally.counting) {
        histogram_record(&tally.latencies, now - exchange->started);
        if (tally.limit && tally.latencies.count == (uint64_t)tally.limit)
            tally.counting = false;
    }
    connection->served = true;
    finish(exchange);
    if (options.hold) {
        settle(connection);
        leave_opening(connection);
    }
    after_exchange(exchange, now);
}

void exchange_failed(struct exchange *exchange, enum kind kind)
{
    tally.errors[kind]++;
    finish(exchange);
    if (options.hold)
        connection_end(exchange->connection);
    else
        after_exchange(exchange, now_ns());
}

/* To be called for an exchange of a connection that is closing. */
void exchange_postpone(struct exchange *exchange)
{
    exchange->busy = false;
    exchange->postponed = true;
    exchange->connection->busy--;
    tally.begun--;
}

/* Life of a connection. */

void connection_ready(struct connection *connection)
{
    connection->phase = READY;
    if (!options.hold) {
        settle(connection);
        leave_opening(connection);
    }
    if (running)
        free_all(connection, now_ns());
}

void connection_end(struct connection *connection)
{
    if (connection->phase == ENDED)
        return;
    connection->phase = ENDED;
    append(&ended, connection);
}

void connection_fail(struct connection *connection, enum kind kind)
{
    if (connection->phase == ENDED)
        return;
    tally.errors[kind] += connection->busy ? connection->busy : 1;
    tally.finished += connection->busy;
    connection_end(connection);
}

void connection_closed(struct connection *connection)
{
    if (connection->busy || connection->phase == CONNECTING)
        connection_fail(connection, EARLY_CLOSE);
    else
        connection_end(connection);
}

/* Back to a connection that may be opened, at once or later. */
static void replace(struct connection *connection, int64_t now)
{
    bool waits = !connection->served;
    options.protocol->release(connection);
    tls_release(connection);
    if (connection->fd >= 0)
        close(connection->fd);
    settle(connection);
    leave_opening(connection);
    for (int i = 0; i < options.streams; i++)
        connection->exchanges[i].busy = false;
    *connection = (struct connection){
        .fd = -1,
        .target = connection->target,
        .exchanges = connection->exchanges,
        .settled = true,
        .retry_at = now + RETRY_NS,
    };
    if (!options.hold)
        append(waits ? &retrying : &waiting, connection);
}

static void close_ended(int64_t now)
{
    while (ended.first)
        replace(take_first(&ended), now);
}

static void open_waiting(int64_t now)
{
    while (retrying.first && retrying.first->retry_at <= now)
        append(&waiting, take_first(&retrying));
    /* What fails at once goes to another queue: this ends. */
    while (waiting.first && opening < OPENING_AT_ONCE) {
        struct connection *connection = take_first(&waiting);
        if (options.protocol->connects_each_time) {
            free_exchange(connection->exchanges, now);
            if (connection->phase != ENDED && connection->fd >= 0)
                options.protocol->flush(connection);
        } else {
            connection->opening = true;
            opening++;
            open_socket(connection);
        }
    }
}

/* Events. */

static void take(struct connection *connection, const char *bytes, size_t size)
{
    if (options.tls.on)
        tls_receive(connection, bytes, size);
    else
        options.protocol->receive(connection, bytes, size);
}

static void end_of_input(struct connection *connection)
{
    if (options.tls.on && !connection->secured)
        connection_fail(connection, TLS);
    else
        options.protocol->closed(connection);
}

static void drain(struct connection *connection, bool to_end)
{
    static char buffer[RECEIVE_SIZE];
    connection->closing |= to_end;
    for (;;) {
        ssize_t size = recv(connection->fd, buffer, sizeof buffer, 0);
        if (size > 0)
            take(connection, buffer, (size_t)size);
        else if (size == 0)
            end_of_input(connection);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            connection_fail(connection, kind_of(errno));
        if (connection->phase == ENDED)
            return;
        if (size == 0 || (size > 0 && size < (ssize_t)sizeof buffer && !to_end))
            break;
    }
    options.protocol->flush(connection);
}

/* TCP is up. */
static void established(struct connection *connection)
{
    connection->connected = true;
    if (options.tls.on)
        tls_start(connection);
    else if (!options.protocol->connects_each_time)
        options.protocol->connected(connection);
}

static void handle(struct connection *connection, uint32_t events)
{
    if (connection->phase == ENDED || connection->phase == CLOSED)
        return;
    if (events & EPOLLOUT && !(events & EPOLLERR)) {
        bool first = !connection->connected;
        if (first)
            established(connection);
        else if (connection->blocked && options.tls.on && !connection->secured)
            tls_continue(connection);
        if ((first || connection->blocked) && connection->phase != ENDED)
            options.protocol->flush(connection);
    }
    bool to_end = events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP);
    if ((events & EPOLLIN || to_end) && connection->phase != ENDED)
        drain(connection, to_end);
}

static void begin_due(int64_t now)
{
    while (arrivals_next(&arrivals) <= now) {
        struct exchange *exchange = take_free();
        if (!exchange)
            return;
        begin(exchange, arrivals_next(&arrivals));
        arrivals_take(&arrivals);
        if (exchange->connection->phase != ENDED)
            options.protocol->flush(exchange->connection);
    }
}

static int wait_ms(int64_t until_ns, int64_t now)
{
    if (running && options.rate > 0)
        return 0; /* the schedule is kept by looking at the clock */
    int64_t ms = (until_ns - now + 999999) / 1000000;
    return ms < 0 ? 0 : ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : (int)ms;
}

void connections_turn(int64_t until_ns)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, wait_ms(until_ns, now_ns()));
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            handle(events[i].data.ptr, events[i].events);
        else
            input_ended |= read(STDIN_FILENO, &(char[4096]){0}, 4096) == 0;
    }
    if (ended.first || waiting.first || retrying.first) {
        int64_t now = now_ns();
        close_ended(now);
        open_waiting(now);
    }
    if (running && options.rate > 0)
        begin_due(now_ns());
}

/* The whole. */

void connections_prepare(void)
{
    prepare_pattern();
    options.protocol->prepare();
    if (options.tls.on)
        tls_prepare();
    running = options.hold;
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0)
        die("epoll_create1: %s", strerror(errno));

    exchange_count = options.connections * options.streams;
    connections = allocate((size_t)options.connections * sizeof *connections);
    exchanges = allocate((size_t)exchange_count * sizeof *exchanges);
    ring = allocate((size_t)exchange_count * sizeof *ring);
    for (int i = 0; i < exchange_count; i++)
        exchanges[i].connection = &connections[i / options.streams];
    for (int i = 0; i < options.connections; i++) {
        connections[i].fd = -1;
        connections[i].target = &options.targets[i % options.target_count];
        connections[i].exchanges = &exchanges[i * options.streams];
    }
}

void connections_open(void)
{
    unsettled = options.connections;
    for (int i = 0; i < options.connections; i++)
        append(&waiting, &connections[i]);
    open_waiting(now_ns());
}

void connections_start(void)
{
    running = true;
    int64_t now = now_ns();
    if (options.rate > 0)
        arrivals = arrivals_from(now, options.rate, options.poisson);
    if (options.protocol->connects_each_time) {
        connections_open();
        return;
    }
    for (int i = 0; i < options.connections; i++) {
        if (connections[i].phase != READY)
            continue;
        free_all(&connections[i], now_ns());
        if (connections[i].phase != ENDED)
            options.protocol->flush(&connections[i]);
    }
}

int connections_unsettled(void)
{
    return unsettled;
}

int connections_held(void)
{
    int count = 0;
    for (int i = 0; i < options.connections; i++)
        count += connections[i].phase == READY;
    return count;
}

int64_t connections_overdue(int64_t now)
{
    return options.rate > 0 ? arrivals_due(arrivals, now) : 0;
}

/* A file that cannot be waited for, such as /dev/null, never ends. */
void connections_watch_input(void)
{
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0 && errno != EPERM && errno != EBADF)
        die("epoll_ctl: %s", strerror(errno));
}

bool connections_input_ended(void)
{
    return input_ended;
}
