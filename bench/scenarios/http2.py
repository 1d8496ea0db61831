"""HTTP/2 without TLS, gRPC over it, and HTTP/1 that crosses between two proxies over it."""

from bench.programs import Answering, Load
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Scenario
from bench.scenarios.traffic import Traffic

HTTP2 = ("ours", "relay", "haproxy", "nghttpx", "envoy", "traefik", "direct")
_GRPC = Load(protocol="grpc", connections=4, streams=32, request_bytes=100, bytes=100)
_STREAMED = 1000

SCENARIOS: tuple[Scenario, ...] = (
    Traffic(
        "http2-1x1",
        "HTTP/2, 1 connection with 1 stream, 128 B",
        HTTP2,
        load=Load(protocol="http2", connections=1, streams=1),
        answering=Answering(protocol="http2"),
    ),
    Traffic(
        "http2-4x32",
        "HTTP/2, 4 connections with 32 streams each, 128 B",
        HTTP2,
        load=Load(protocol="http2", connections=4, streams=32),
        answering=Answering(protocol="http2"),
    ),
    Traffic(
        "grpc-unary",
        "gRPC, 4 connections with 32 calls each, 100 B there and back",
        HTTP2,
        load=_GRPC,
        answering=Answering(protocol="http2", bytes=100),
    ),
    Traffic(
        "grpc-streaming",
        f"gRPC, 4 connections with 4 calls each, {_STREAMED} messages of 100 B in every answer",
        HTTP2,
        load=Load(
            protocol="grpc",
            connections=4,
            streams=4,
            request_bytes=100,
            bytes=100,
            messages=_STREAMED,
        ),
        answering=Answering(protocol="http2", bytes=100, messages=_STREAMED),
        unit="message",
        cost="cpu_us_per_message",
        columns=("messages_per_s", "cpu_us_per_message", *TRAFFIC_COLUMNS[2:]),
    ),
    Traffic(
        "http1-over-http2",
        "HTTP/1 to a first proxy, HTTP/2 to a second, HTTP/1 to the server; 64 connections, CPU of both",
        ("ours-pair", "envoy-pair", "direct"),
    ),
)
