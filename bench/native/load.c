/* A load generator: asks, checks every response, measures. See `load --help`, and load.h for the parts.
 *
 * It may share a processor with the server it asks, so that its own cost counts: nothing is allocated and no system call made
 * for an exchange beyond a send, a receive and its share of an epoll_wait. */
#include "load.h"

#define CONNECT_NS (5 * SECOND_NS) /* where no server has answered a connect for so long, none is waited for any more */

struct window {
    int64_t begin_ns, end_ns;
    struct usage usage;
    int64_t own_ns;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t own_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

static void begin_window(struct window *window)
{
    histogram_clear(&tally.latencies);
    window->usage = usage_of(options.watched, options.watched_count);
    window->own_ns = own_cpu_ns();
    tally.limit = options.limit;
    tally.counting = true;
    window->begin_ns = now_ns();
}

/* From readings at the begin to differences. */
static void end_window(struct window *window)
{
    tally.counting = false;
    window->end_ns = now_ns();
    window->own_ns = own_cpu_ns() - window->own_ns;
    struct usage usage = usage_of(options.watched, options.watched_count);
    window->usage.cpu_ns = usage.cpu_ns - window->usage.cpu_ns;
    window->usage.switches = usage.switches - window->usage.switches;
    window->usage.gone = usage.gone;
}

static bool limit_reached(void)
{
    return tally.limit && tally.latencies.count >= (uint64_t)tally.limit;
}

static void run_until(int64_t until_ns)
{
    while (!stopped && !limit_reached() && now_ns() < until_ns)
        connections_turn(until_ns);
}

static void connect_all(void)
{
    connections_open();
    int unsettled = connections_unsettled();
    int64_t until_ns = now_ns() + CONNECT_NS;
    while (!stopped && unsettled && now_ns() < until_ns) {
        connections_turn(until_ns);
        if (connections_unsettled() == unsettled)
            continue;
        unsettled = connections_unsettled();
        until_ns = now_ns() + CONNECT_NS;
    }
}

static void measure(struct window *window)
{
    if (!options.protocol->connects_each_time)
        connect_all();
    connections_start();
    run_until(now_ns() + options.warmup_ns);
    begin_window(window);
    run_until(window->begin_ns + options.window_ns);
    end_window(window);
}

/* The window is that of the exchanges. */
static void hold(struct window *window)
{
    begin_window(window);
    connect_all();
    end_window(window);
    printf("{\"held\":%d}\n", connections_held());
    fflush(stdout);
    connections_watch_input();
    while (!stopped && !connections_input_ended())
        connections_turn(INT64_MAX);
}

static void print_errors(void)
{
    static const char *const names[KINDS] = {
        [REFUSED] = "refused",
        [RESET] = "reset",
        [EARLY_CLOSE] = "early_close",
        [NETWORK] = "network",
        [TLS] = "tls",
        [HANDSHAKE] = "handshake",
        [STATUS] = "status",
        [LENGTH] = "length",
        [BODY] = "body",
        [TRAILERS] = "trailers",
        [LEFTOVER] = "leftover",
        [MALFORMED] = "malformed",
        [STREAM_RESET] = "stream_reset",
    };
    int64_t all = 0;
    const char *separator = "";
    for (int kind = 0; kind < KINDS; kind++)
        all += tally.errors[kind];
    printf(",\"errors\":%lld,\"error_kinds\":{", (long long)all);
    for (int kind = 0; kind < KINDS; kind++) {
        if (!tally.errors[kind])
            continue;
        printf("%s\"%s\":%lld", separator, names[kind], (long long)tally.errors[kind]);
        separator = ",";
    }
    putchar('}');
}

static void print_latencies(void)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50_us", .5}, {"p90_us", .9}, {"p99_us", .99}, {"p999_us", .999}};
    const struct histogram *latencies = &tally.latencies;
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(",\"%s\":%.3f", quantiles[i].name, histogram_quantile_us(latencies, quantiles[i].share));
    printf(",\"max_us\":%.3f,\"mean_us\":%.3f", (double)latencies->max_ns / 1e3, histogram_mean_us(latencies));
}

static int64_t response_bytes(void)
{
    const struct protocol *protocol = options.protocol;
    if (protocol == &tcp_protocol || protocol == &websocket_protocol || protocol == &tcp_connect_protocol)
        return options.request_bytes;
    return protocol == &grpc_protocol ? options.bytes * options.messages : options.bytes;
}

static void report(const struct window *window)
{
    long long exchanges = (long long)tally.latencies.count;
    long long messages = options.protocol == &grpc_protocol ? exchanges * options.messages : 0;
    printf("{\"exchanges\":%lld,\"messages\":%lld,\"seconds\":%.6f,\"bytes\":%lld", exchanges, messages,
           (double)(window->end_ns - window->begin_ns) / 1e9, exchanges * (long long)response_bytes());
    print_errors();
    printf(",\"unfinished\":%lld",
           (long long)(tally.begun - tally.finished + connections_overdue(window->end_ns)));
    if (options.watched_count && !window->usage.gone)
        printf(",\"cpu_ns\":%lld,\"switches\":%lld", (long long)window->usage.cpu_ns, (long long)window->usage.switches);
    else
        fputs(",\"cpu_ns\":null,\"switches\":null", stdout);
    printf(",\"own_cpu_ns\":%lld", (long long)window->own_ns);
    print_latencies();
    if (options.tls.on)
        printf(",\"handshakes\":%lld,\"resumed\":%lld", (long long)tally.handshakes, (long long)tally.resumed);
    if (options.hold)
        printf(",\"held\":%d", connections_held());
    puts("}");
}

/* Opened before the run: a bad name is told at once. */
static FILE *open_histogram(void)
{
    FILE *file = options.histogram_file ? fopen(options.histogram_file, "we") : NULL;
    if (options.histogram_file && !file)
        die("--histogram %s: %s", options.histogram_file, strerror(errno));
    return file;
}

static void write_histogram(FILE *file)
{
    histogram_write(&tally.latencies, file);
    if (fclose(file))
        die("--histogram %s: %s", options.histogram_file, strerror(errno));
}

int main(int count, char **words)
{
    struct window window = {0};
    read_options(count, words);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    FILE *histogram = open_histogram();
    connections_prepare();
    if (options.hold)
        hold(&window);
    else
        measure(&window);
    if (histogram)
        write_histogram(histogram);
    report(&window);
    return 0;
}
