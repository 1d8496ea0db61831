"""HTTP/1: keep-alive with few and many connections, bodies, and a new connection for each request."""

from bench.programs import Answering, Load
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Scenario
from bench.scenarios.traffic import Traffic

HTTP1 = ("ours", "relay", "nginx", "haproxy", "nghttpx", "envoy", "traefik", "direct")
_MIB = 1 << 20
_BULK_COLUMNS = ("exchanges_per_s", "mb_per_s", "cpu_ms_per_gb", *TRAFFIC_COLUMNS[2:])

SCENARIOS: tuple[Scenario, ...] = (
    Traffic(
        "http1-1-apart",
        "HTTP/1 keep-alive, 1 connection, 128 B, the subject alone on its processor",
        (*HTTP1, "relay-spin"),
        load=Load(connections=1),
        cost="p50_us",
    ),
    Traffic(
        "http1-1-together",
        "HTTP/1 keep-alive, 1 connection, 128 B, everything on one processor",
        (*HTTP1, "relay-spin"),
        load=Load(connections=1),
        together=True,
        cost="p50_us",
    ),
    Traffic(
        "http1-64",
        "HTTP/1 keep-alive, 64 connections, 128 B",
        (*HTTP1, "relay-splice"),
    ),
    Traffic(
        "http1-512",
        "HTTP/1 keep-alive, 512 connections, 128 B",
        HTTP1,
        load=Load(connections=512),
    ),
    Traffic(
        "body-10k",
        "HTTP/1 keep-alive, 8 connections, bodies of 10 KiB",
        HTTP1,
        load=Load(connections=8, bytes=10 * 1024),
        answering=Answering(bytes=10 * 1024),
    ),
    Traffic(
        "body-1m",
        "HTTP/1 keep-alive, 8 connections, bodies of 1 MiB",
        (*HTTP1, "relay-splice"),
        load=Load(connections=8, bytes=_MIB),
        answering=Answering(bytes=_MIB),
        unit="GB",
        cost="cpu_ms_per_gb",
        columns=_BULK_COLUMNS,
    ),
    Traffic(
        "connection-per-request",
        "HTTP/1, a new client connection for each request, 32 at a time, "
        "everything on one processor; servers keep theirs open",
        HTTP1,
        load=Load(connections=32, close=True),
        together=True,
    ),
    Traffic(
        "connection-per-request-apart",
        "the same with the subject alone on its processor, which sleeps and is woken in between",
        ("ours", "relay", "nginx", "haproxy"),
        load=Load(connections=32, close=True),
    ),
    Traffic(
        "open-loop-50",
        "HTTP/1 keep-alive, 64 connections, at half of what ours can do: latency with queueing",
        HTTP1,
        load=Load(arrivals="poisson"),
        share=0.5,
        stretch=2,
        cost="p999_us",
    ),
)
