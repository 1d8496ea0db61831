/* relay: what a proxy costs that neither parses nor balances. One thread; a server connection for each client connection.
 *
 * It writes first and looks for EPOLLOUT only when a socket was full, and then reads no more from the other side: no
 * connection holds more than what was read at once. */
#include "relay.h"
#include "signals.h"

#include <getopt.h>
#include <sys/epoll.h>

#define MAX_BUFFER (1 << 30)
#define MAX_SPIN_US 1000000
#define EVENTS 256
#define SLAB 64

static const char usage[] =
    "usage: relay --mode copy|splice --listen ADDR --server ADDR [options]\n"
    "\n"
    "Passes every byte, and the end of each direction, between its clients and one server. The first line names its address,\n"
    "the last one, after SIGTERM, counts connections and bytes.\n"
    "\n"
    "  --mode M        copy: recv and send through one buffer; splice: through a pipe per direction\n"
    "  --listen ADDR   such as 127.0.0.1:8080; port 0 takes any free one\n"
    "  --server ADDR   where each connection is passed on to\n"
    "  --buffer N      bytes of the buffer, or of each pipe (262144)\n"
    "  --spin-us N     look for events without sleeping while the last ones are not older than this (0)\n";

enum source { LISTENER, END, SIGNALS };
enum { CLIENT, SERVER };

struct pair;

struct end {
    enum source source;
    int fd;
    uint32_t interest; /* what epoll looks for; 0: not registered */
    bool connected;
    struct pair *pair;
};

/* ends[i] is where flows[i] comes from and flows[1 - i] goes to. */
struct pair {
    struct end ends[2];
    struct flow flows[2];
    bool closed;
    struct pair *next; /* in the list of closed or of unused ones */
};

static const struct carrier *carrier;
static struct sockaddr_in server;
static int epoll_fd;
static uint64_t connections, bytes[2];
static struct pair *unused;
static struct pair *closed; /* in this round: an event of them may still come up */

static void watch(int fd, void *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* An end without interest is not registered: epoll would go on reporting that it is hung up. */
static void look_for(struct end *end, uint32_t interest)
{
    if (interest == end->interest)
        return;
    int operation = !interest ? EPOLL_CTL_DEL : end->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    struct epoll_event event = {.events = interest, .data.ptr = end};
    if (epoll_ctl(epoll_fd, operation, end->fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
    end->interest = interest;
}

static void close_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        carrier->release(&pair->flows[i]);
        close(pair->ends[i].fd);
    }
    pair->closed = true;
    pair->next = closed;
    closed = pair;
}

/* Both sides see a reset, so that nobody takes it for a proper end. */
static void abort_pair(struct pair *pair)
{
    struct linger at_once = {.l_onoff = 1};
    for (int i = 0; i < 2; i++)
        setsockopt(pair->ends[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close_pair(pair);
}

static bool may_read(const struct flow *flow)
{
    return !flow->ended && !flow->held;
}

/* What the end of this flow waits for: room for bytes, or a connection whose end can be passed on. */
static bool must_write(const struct flow *flow)
{
    return flow->held || (flow->ended && !flow->shut);
}

/* Passes on the ends that are due, and looks for what the pair waits for now. */
static void settle(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        struct flow *flow = &pair->flows[i];
        /* A socket that is still connecting would be disconnected. */
        if (flow->ended && !flow->held && !flow->shut && pair->ends[1 - i].connected) {
            shutdown(flow->to, SHUT_WR);
            flow->shut = true;
        }
    }
    if (pair->flows[0].shut && pair->flows[1].shut) {
        close_pair(pair);
        return;
    }
    for (int i = 0; i < 2; i++)
        look_for(&pair->ends[i], (may_read(&pair->flows[i]) ? EPOLLIN : 0) | (must_write(&pair->flows[1 - i]) ? EPOLLOUT : 0));
}

static void serve(struct end *end, uint32_t events)
{
    struct pair *pair = end->pair;
    int side = end == &pair->ends[SERVER];
    struct flow *incoming = &pair->flows[side], *outgoing = &pair->flows[1 - side];
    if (pair->closed)
        return;
    bool lost = events & EPOLLERR;
    if (!lost && events & EPOLLOUT) {
        end->connected = true;
        lost = outgoing->held && !carrier->write_held(outgoing);
    }
    if (!lost && events & (EPOLLIN | EPOLLHUP)) {
        end->connected = true;
        lost = !may_read(incoming) || !carrier->carry(incoming);
    }
    if (lost)
        abort_pair(pair);
    else
        settle(pair);
}

/* Memory for pairs comes by the slab, and is never given back. */
struct slab {
    struct slab *next;
    struct pair pairs[SLAB];
};

static struct pair *unused_pair(void)
{
    static struct slab *slabs;
    if (!unused) {
        struct slab *slab = calloc(1, sizeof *slab);
        if (!slab)
            die("out of memory for connections");
        slab->next = slabs;
        slabs = slab;
        for (int i = 0; i < SLAB; i++) {
            slab->pairs[i].next = unused;
            unused = &slab->pairs[i];
        }
    }
    struct pair *pair = unused;
    unused = pair->next;
    return pair;
}

static void open_end(struct pair *pair, int side, int fd)
{
    pair->ends[side] = (struct end){.source = END, .fd = fd, .pair = pair, .connected = side == CLIENT};
    pair->flows[side].from = fd;
    pair->flows[1 - side].to = fd;
    pair->flows[side].pipe[0] = pair->flows[side].pipe[1] = -1;
    pair->flows[side].bytes = &bytes[side];
    look_for(&pair->ends[side], EPOLLIN);
}

static void accept_client(int listener)
{
    int client_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client_fd < 0 && errno != EMFILE && errno != ENFILE)
        return; /* it is gone again */
    int server_fd = client_fd < 0 ? -1 : connect_to(&server);
    if (client_fd < 0 || (server_fd < 0 && (errno == EMFILE || errno == ENFILE)))
        die("no descriptor is left for another connection: raise the limit (ulimit -n)");
    if (server_fd < 0) {
        close(client_fd);
        return;
    }
    struct pair *pair = unused_pair();
    *pair = (struct pair){0};
    open_end(pair, CLIENT, client_fd);
    open_end(pair, SERVER, server_fd);
    connections++;
}

static void heed_signals(int fd)
{
    for (int number; (number = next_signal(fd));) {
        if (number == SIGUSR1)
            continue;
        printf("{\"connections\":%llu,\"to_server_bytes\":%llu,\"to_client_bytes\":%llu}\n", (unsigned long long)connections,
               (unsigned long long)bytes[CLIENT], (unsigned long long)bytes[SERVER]);
        exit(0);
    }
}

static void reuse_closed(void)
{
    while (closed) {
        struct pair *pair = closed;
        closed = pair->next;
        pair->next = unused;
        unused = pair;
    }
}

static void loop(int listener, int signal_fd, int64_t spin_ns)
{
    int64_t last_traffic = 0;
    for (;;) {
        struct epoll_event events[EVENTS];
        bool spinning = spin_ns && now_ns() - last_traffic < spin_ns;
        int count = epoll_wait(epoll_fd, events, EVENTS, spinning ? 0 : -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) {
            switch (*(enum source *)events[i].data.ptr) {
            case END: serve(events[i].data.ptr, events[i].events); break;
            case LISTENER: accept_client(listener); break;
            case SIGNALS: heed_signals(signal_fd);
            }
        }
        reuse_closed();
        if (spin_ns && count > 0)
            last_traffic = now_ns();
    }
}

static const struct carrier *carrier_named(const char *name)
{
    if (!strcmp(name, copy_carrier.name))
        return &copy_carrier;
    if (!strcmp(name, splice_carrier.name))
        return &splice_carrier;
    die("--mode takes copy or splice, not '%s'", name);
}

int main(int count, char **words)
{
    static const struct option known[] = {
        {"mode", required_argument, NULL, 'm'},   {"listen", required_argument, NULL, 'l'},
        {"server", required_argument, NULL, 's'}, {"buffer", required_argument, NULL, 'b'},
        {"spin-us", required_argument, NULL, 'u'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static enum source listener_source = LISTENER, signal_source = SIGNALS;
    struct sockaddr_in address;
    bool has_address = false, has_server = false;
    size_t buffer = 256 << 10;
    int64_t spin_us = 0;
    char text[ADDRESS_TEXT];
    for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (option) {
        case 'm': carrier = carrier_named(optarg); break;
        case 'l': address = address_of(optarg), has_address = true; break;
        case 's': server = address_of(optarg), has_server = true; break;
        case 'b': buffer = number_of("buffer", optarg, 1, MAX_BUFFER); break;
        case 'u': spin_us = number_of("spin-us", optarg, 0, MAX_SPIN_US); break;
        case 'h': fputs(usage, stdout); return 0;
        default: return 1; /* getopt has said why */
        }
    }
    if (optind < count)
        die("'%s' is not an option; --help names them", words[optind]);
    if (!carrier || !has_address || !has_server)
        die("--mode, --listen and --server are needed; --help explains them");
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN); /* splice has no flag against it: to a client that has gone it must fail, not kill */
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
    carrier->prepare(buffer);
    int listener = listen_on(&address), signal_fd = signal_descriptor();
    watch(listener, &listener_source);
    watch(signal_fd, &signal_source);
    printf("{\"address\":\"%s\"}\n", address_text(&address, text));
    fflush(stdout);
    loop(listener, signal_fd, 1000 * spin_us);
}
