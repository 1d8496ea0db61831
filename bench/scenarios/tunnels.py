"""Bytes that no proxy has to understand: WebSocket after its handshake, and TCP."""

from bench.programs import Answering, Load
from bench.scenarios.scenario import TRAFFIC_COLUMNS, Scenario
from bench.scenarios.traffic import Traffic

_MIB = 1 << 20
_TCP = ("ours", "relay", "nginx", "haproxy", "envoy", "direct")

SCENARIOS: tuple[Scenario, ...] = (
    Traffic(
        "websocket",
        "WebSocket, 64 connections, each echoing messages of 100 B",
        ("ours", "relay", "nginx", "haproxy", "envoy", "traefik", "direct"),
        load=Load(protocol="websocket", request_bytes=100, bytes=None),
        answering=Answering(protocol="websocket"),
    ),
    Traffic(
        "tcp-bulk",
        "TCP, 8 connections, each echoing 1 MiB at a time; a GB is sent and received once each",
        (*_TCP, "relay-splice"),
        load=Load(protocol="tcp", connections=8, request_bytes=_MIB, bytes=None),
        answering=Answering(protocol="tcp"),
        unit="GB",
        cost="cpu_ms_per_gb",
        columns=("exchanges_per_s", "mb_per_s", "cpu_ms_per_gb", *TRAFFIC_COLUMNS[2:]),
    ),
    Traffic(
        "tcp-connect",
        "TCP, a new connection for each byte and its echo, 32 at a time",
        _TCP,
        load=Load(protocol="tcp-connect", connections=32, bytes=None),
        answering=Answering(protocol="tcp"),
        unit="connection",
    ),
)
