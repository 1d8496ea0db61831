/* The command line. */
#include "load.h"

#include <getopt.h>

struct options options;

static const char usage[] =
    "load: asks servers on this machine, checks every response, measures latency and processor time.\n"
    "\n"
    "  load --protocol http1|http2|grpc|tcp|websocket|tcp-connect --target ADDR[,ADDR...] [option ...]\n"
    "\n"
    "What is asked:\n"
    "  --protocol NAME      http1: GET, or POST with --request-bytes. http2: the same over HTTP/2 without TLS. grpc: one request\n"
    "                       message, --messages response messages. tcp, websocket: --request-bytes and their echo.\n"
    "                       tcp-connect: connect, one byte, its echo, close\n"
    "  --target LIST        addresses such as 127.0.0.1:8080, loopback only; connections are spread over them in turn\n"
    "  --request-bytes N    body, message or echo size (default 0 for http1 and http2, else 100)\n"
    "  --bytes N            size of the expected body, or of each gRPC message (default 128)\n"
    "  --messages N         gRPC messages in a response (default 1)\n"
    "  --authority NAME     host to ask for (default: the first target)\n"
    "  --path P             path to ask for (default /)\n"
    "\n"
    "TLS 1.3:\n"
    "  --tls                ask over TLS; HTTP/2 is asked for by ALPN. Needs --sni and --ca\n"
    "  --sni NAME           whom to ask for, and the name that its certificate must have\n"
    "  --ca FILE            trust anchors, in PEM\n"
    "  --cert FILE          our own certificate with its chain, in PEM (default: none)\n"
    "  --key FILE           its key, in PEM\n"
    "  --resume             resume the newest session of each target, if there is one\n"
    "\n"
    "How:\n"
    "  --connections N      default 1\n"
    "  --streams N          exchanges at a time on each connection, http2 and grpc only (default 1)\n"
    "  --close              http1: a new connection for each exchange; connecting counts\n"
    "  --rate R             open loop: R requests per second in all, latency counts from when each was due. Uses a whole processor.\n"
    "                       Without it each connection asks again when it is answered (closed loop)\n"
    "  --arrivals KIND      of --rate: fixed (default) or poisson\n"
    "  --warmup S           seconds before the measured window (default 0.5)\n"
    "  --seconds S          length of the measured window (default 1)\n"
    "  --limit N            end after N measured exchanges at the latest\n"
    "  --hold               one exchange on each connection, then keep all open and idle until SIGTERM or the end of stdin\n"
    "  --watch PID[,PID..]  measure the processor time of these processes and their descendants in the window\n"
    "  --histogram FILE     write [[latency in us, count], ...] there\n"
    "\n"
    "The last line of stdout is a JSON object. exchanges, latencies and handshakes are of the window, errors of the whole run;\n"
    "unfinished counts requests that were due or under way at its end. SIGTERM ends the run early.\n";

enum option_code {
    PROTOCOL = 1, TARGET, CONNECTIONS, STREAMS, MESSAGES, REQUEST_BYTES, BYTES, AUTHORITY, PATH_, CLOSE_EACH, RATE, ARRIVALS,
    WARMUP, SECONDS, LIMIT, WATCH, HOLD, HISTOGRAM, TLS_ON, SNI, CA, CERT, KEY, RESUME, HELP,
};

static const struct option known[] = {
    {"protocol", required_argument, NULL, PROTOCOL},
    {"target", required_argument, NULL, TARGET},
    {"connections", required_argument, NULL, CONNECTIONS},
    {"streams", required_argument, NULL, STREAMS},
    {"messages", required_argument, NULL, MESSAGES},
    {"request-bytes", required_argument, NULL, REQUEST_BYTES},
    {"bytes", required_argument, NULL, BYTES},
    {"authority", required_argument, NULL, AUTHORITY},
    {"path", required_argument, NULL, PATH_},
    {"close", no_argument, NULL, CLOSE_EACH},
    {"rate", required_argument, NULL, RATE},
    {"arrivals", required_argument, NULL, ARRIVALS},
    {"warmup", required_argument, NULL, WARMUP},
    {"seconds", required_argument, NULL, SECONDS},
    {"limit", required_argument, NULL, LIMIT},
    {"watch", required_argument, NULL, WATCH},
    {"hold", no_argument, NULL, HOLD},
    {"histogram", required_argument, NULL, HISTOGRAM},
    {"tls", no_argument, NULL, TLS_ON},
    {"sni", required_argument, NULL, SNI},
    {"ca", required_argument, NULL, CA},
    {"cert", required_argument, NULL, CERT},
    {"key", required_argument, NULL, KEY},
    {"resume", no_argument, NULL, RESUME},
    {"help", no_argument, NULL, HELP},
    {0},
};

static double decimal_of(const char *option, const char *text, double low, double high)
{
    char *rest;
    double number = strtod(text, &rest);
    if (rest == text || *rest || !(number >= low && number <= high))
        die("--%s takes a number from %g to %g, not '%s'", option, low, high, text);
    return number;
}

static const struct protocol *protocol_of(const char *name)
{
    static const struct protocol *const all[] = {&http1_protocol, &http2_protocol,     &grpc_protocol,
                                                 &tcp_protocol,   &websocket_protocol, &tcp_connect_protocol};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    die("--protocol takes http1, http2, grpc, tcp, websocket or tcp-connect, not '%s'", name);
}

static void read_targets(char *list)
{
    for (char *word; (word = strsep(&list, ","));) {
        if (options.target_count == MOST_TARGETS)
            die("--target takes at most %d addresses", MOST_TARGETS);
        struct sockaddr_in target = address_of(word);
        if (ntohl(target.sin_addr.s_addr) >> 24 != 127 || !target.sin_port)
            die("--target takes loopback addresses with a port, such as 127.0.0.1:8080, not '%s'", word);
        options.targets[options.target_count++] = target;
    }
}

static void read_watched(char *list)
{
    for (char *word; (word = strsep(&list, ","));) {
        if (options.watched_count == MOST_WATCHED)
            die("--watch takes at most %d processes", MOST_WATCHED);
        pid_t process = (pid_t)number_of("watch", word, 1, INT32_MAX);
        if (kill(process, 0) < 0 && errno == ESRCH)
            die("--watch %d: there is no such process", (int)process);
        options.watched[options.watched_count++] = process;
    }
}

static bool read_arrivals(const char *kind)
{
    if (strcmp(kind, "poisson") != 0 && strcmp(kind, "fixed") != 0)
        die("--arrivals takes fixed or poisson, not '%s'", kind);
    return strcmp(kind, "poisson") == 0;
}

/* What only makes sense together. */
static void check(bool closes, bool arrivals)
{
    const struct protocol *protocol = options.protocol;
    if (!protocol || !options.target_count)
        die("--protocol and --target are needed; --help explains them");
    if (closes && protocol != &http1_protocol)
        die("--close is for --protocol http1");
    if (closes)
        options.protocol = protocol = &http1_close_protocol;
    if (options.streams > 1 && protocol != &http2_protocol && protocol != &grpc_protocol)
        die("--streams is for --protocol http2 and grpc");
    if (arrivals && options.rate <= 0)
        die("--arrivals needs --rate");
    if (options.hold && (protocol->connects_each_time || options.rate > 0))
        die("--hold cannot be combined with --close, --rate or tcp-connect");
    bool echoes = protocol == &tcp_protocol || protocol == &websocket_protocol;
    if (options.request_bytes < 0)
        options.request_bytes = echoes || protocol == &grpc_protocol ? 100 : 0;
    if (echoes && !options.request_bytes)
        die("--request-bytes must be at least 1 for --protocol %s", protocol->name);
}

static void check_tls(void)
{
    bool named = options.tls.sni || options.tls.ca || options.tls.cert || options.tls.key || options.tls.resume;
    if (named && !options.tls.on)
        die("--sni, --ca, --cert, --key and --resume need --tls");
    if (options.tls.on && !(options.tls.sni && options.tls.ca))
        die("--tls needs --sni and --ca");
    if (!options.tls.cert != !options.tls.key)
        die("--cert and --key need each other");
}

static void check_file_limit(void)
{
    struct rlimit limit;
    raise_file_limit();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)options.connections + 16)
        die("--connections %d needs more open files than the %llu that are allowed (ulimit -Hn)", options.connections,
            (unsigned long long)limit.rlim_cur);
}

void read_options(int count, char **words)
{
    bool closes = false, arrivals = false;
    const char *first_target = NULL;
    options = (struct options){
        .connections = 1, .streams = 1, .messages = 1, .request_bytes = -1, .bytes = 128, .path = "/",
        .warmup_ns = SECOND_NS / 2, .window_ns = SECOND_NS,
    };
    for (int code, index; (code = getopt_long(count, words, "", known, &index)) != -1;) {
        const char *name = code == '?' ? "" : known[index].name;
        switch (code) {
        case PROTOCOL: options.protocol = protocol_of(optarg); break;
        case TARGET:
            read_targets(optarg); /* which ends it after the first */
            first_target = optarg;
            break;
        case CONNECTIONS: options.connections = (int)number_of(name, optarg, 1, 1000000); break;
        case STREAMS: options.streams = (int)number_of(name, optarg, 1, 1000); break;
        case MESSAGES: options.messages = (int)number_of(name, optarg, 0, 100000000); break;
        case REQUEST_BYTES: options.request_bytes = number_of(name, optarg, 0, 64 << 20); break;
        case BYTES: options.bytes = number_of(name, optarg, 0, 1 << 30); break;
        case AUTHORITY: options.authority = optarg; break;
        case PATH_: options.path = optarg; break;
        case CLOSE_EACH: closes = true; break;
        case RATE: options.rate = decimal_of(name, optarg, 0.001, 1e7); break;
        case ARRIVALS: options.poisson = read_arrivals(optarg), arrivals = true; break;
        case WARMUP: options.warmup_ns = (int64_t)(decimal_of(name, optarg, 0, 86400) * 1e9); break;
        case SECONDS: options.window_ns = (int64_t)(decimal_of(name, optarg, 0.001, 86400) * 1e9); break;
        case LIMIT: options.limit = number_of(name, optarg, 1, INT64_MAX); break;
        case WATCH: read_watched(optarg); break;
        case HOLD: options.hold = true; break;
        case HISTOGRAM: options.histogram_file = optarg; break;
        case TLS_ON: options.tls.on = true; break;
        case SNI: options.tls.sni = optarg; break;
        case CA: options.tls.ca = optarg; break;
        case CERT: options.tls.cert = optarg; break;
        case KEY: options.tls.key = optarg; break;
        case RESUME: options.tls.resume = true; break;
        case HELP: fputs(usage, stdout); exit(0);
        default: exit(1); /* getopt has said why */
        }
    }
    if (optind < count)
        die("'%s' is not an option; --help lists them", words[optind]);
    check(closes, arrivals);
    check_tls();
    if (!options.authority)
        options.authority = first_target;
    check_file_limit();
}
