/* floor: what the socket calls cost that no proxy can do without. One thread plays clients, proxy and servers in turn, each for
 * all connections; only the proxy's calls are timed. It repeats within one percent, so it tells whether the machine is calm. */
#include "floor.h"

#include <getopt.h>

#define MAX_CONNECTIONS 4096
#define MAX_MESSAGE (32 << 10) /* what a fresh socket takes at once */
#define MAX_ROUNDS 1000
#define MAX_BATCHES 10000 /* of a round */

static const char usage[] =
    "usage: floor [options]\n"
    "\n"
    "Prints nanoseconds per exchange of a proxy's compulsory calls: a line for epoll, one for io_uring (or why it is refused),\n"
    "one about the machine. In each round the median over its batches is taken, and printed is the least of these medians, for\n"
    "each figure by itself: the parts do not add up to the total exactly.\n"
    "\n"
    "  --connections N      connections in a batch (64)\n"
    "  --request-bytes N    (100)\n"
    "  --response-bytes N   (250)\n"
    "  --rounds N           (5)\n"
    "  --seconds S          for all rounds of both backends (1)\n";

/* The steps of both directions, and their sum. */
enum { FIGURES = 2 * STEPS + 1, TOTAL = 2 * STEPS };
static const char *const figure_names[FIGURES] = {"epoll_client", "recv_client", "send_server", "epoll_server",
                                                  "recv_server",  "send_client", "total"};

static int64_t batches[FIGURES][MAX_BATCHES];
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* One exchange on every connection. */
static void run_batch(struct rig *rig, const struct backend *backend, int batch)
{
    int64_t ns[2][STEPS] = {0};
    send_all(rig, CLIENT);
    backend->pass(rig, CLIENT, ns[CLIENT]);
    receive_all(rig, SERVER);
    send_all(rig, SERVER);
    backend->pass(rig, SERVER, ns[SERVER]);
    receive_all(rig, CLIENT);

    int64_t total = 0;
    for (int figure = 0; figure < TOTAL; figure++)
        total += batches[figure][batch] = ns[figure / STEPS][figure % STEPS];
    batches[TOTAL][batch] = total;
}

/* Lowers `least` to the medians of a round, nanoseconds per exchange. */
static void run_round(struct rig *rig, const struct backend *backend, int64_t duration_ns, double least[FIGURES])
{
    int64_t end = now_ns() + duration_ns;
    int count = 0;
    do
        run_batch(rig, backend, count++);
    while (count < MAX_BATCHES && !stopped && now_ns() < end);
    for (int figure = 0; figure < FIGURES; figure++) {
        qsort(batches[figure], count, sizeof batches[figure][0], ascending);
        double median = (double)batches[figure][count / 2] / rig->count;
        if (least[figure] < 0 || median < least[figure])
            least[figure] = median;
    }
}

static void print_floor(const struct backend *backend, const double least[FIGURES])
{
    printf("{\"backend\":\"%s\",\"total_ns\":%.1f", backend->name, least[TOTAL]);
    for (int figure = 0; figure < TOTAL; figure++)
        if (backend == &epoll_backend || figure % STEPS != WAIT) /* io_uring waits while it receives */
            printf(",\"%s_ns\":%.1f", figure_names[figure], least[figure]);
    printf("}\n");
    fflush(stdout);
}

static void measure(struct rig *rig, const struct backend *backend, int rounds, double seconds)
{
    double least[FIGURES];
    const char *refused = backend->open(rig);
    if (refused) {
        printf("{\"backend\":\"%s\",\"refused\":\"%s\"}\n", backend->name, refused);
        fflush(stdout);
        return;
    }
    for (int figure = 0; figure < FIGURES; figure++)
        least[figure] = -1;
    int round = 0;
    do
        run_round(rig, backend, (int64_t)(seconds * SECOND_NS / rounds), least);
    while (++round < rounds && !stopped);
    print_floor(backend, least);
    backend->close();
}

static double seconds_of(const char *text)
{
    char *rest;
    double seconds = strtod(text, &rest);
    if (rest == text || *rest || !(seconds > 0 && seconds <= 3600))
        die("--seconds takes a number above 0 and up to 3600, not '%s'", text);
    return seconds;
}

int main(int count, char **words)
{
    static const struct option known[] = {
        {"connections", required_argument, NULL, 'c'},    {"request-bytes", required_argument, NULL, 'q'},
        {"response-bytes", required_argument, NULL, 'p'}, {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int connections = 64, rounds = 5;
    size_t request_size = 100, response_size = 250;
    double seconds = 1;
    for (int option; (option = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c': connections = number_of("connections", optarg, 1, MAX_CONNECTIONS); break;
        case 'q': request_size = number_of("request-bytes", optarg, 1, MAX_MESSAGE); break;
        case 'p': response_size = number_of("response-bytes", optarg, 1, MAX_MESSAGE); break;
        case 'r': rounds = number_of("rounds", optarg, 1, MAX_ROUNDS); break;
        case 's': seconds = seconds_of(optarg); break;
        case 'h': fputs(usage, stdout); return 0;
        default: return 1; /* getopt has said why */
        }
    }
    if (optind < count)
        die("'%s' is not an option; --help names them", words[optind]);
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    raise_file_limit();
    struct rig *rig = rig_of(connections, request_size, response_size);
    measure(rig, &epoll_backend, rounds, seconds / 2);
    measure(rig, &uring_backend, rounds, seconds / 2);
    print_machine();
    free_rig(rig);
}
