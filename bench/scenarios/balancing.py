"""One slow server among healthy ones, and a set of servers that changes all the time."""

from dataclasses import replace

from bench.programs import Answering, Load
from bench.scenarios.scenario import Scenario
from bench.scenarios.traffic import Traffic

_BALANCERS = (
    "ours",
    "nginx",
    "nginx-least",
    "haproxy",
    "haproxy-least",
    "envoy",
    "envoy-least",
)
_COLUMNS = ("exchanges_per_s", "share_slow", "p50_us", "p99_us", "p999_us", "cpu_us_per_exchange")
_HEALTHY = Answering(delay_us=1000)
_ONE_SLOW = replace(_HEALTHY, slow_index=0, slow_us=100_000)
_LOAD = Load(connections=256, rate=4000, arrivals="poisson")


def _balancing(name: str, description: str, answering: Answering, endpoints: int) -> Traffic:
    return Traffic(
        name,
        f"{description}, open loop of {_LOAD.rate}/s",
        _BALANCERS,
        load=_LOAD,
        answering=answering,
        endpoints=endpoints,
        stretch=3,
        cost="p999_us",
        columns=_COLUMNS,
    )


SCENARIOS: tuple[Scenario, ...] = (
    _balancing("healthy-10", "10 servers that answer after 1 ms", _HEALTHY, 10),
    _balancing("slow-1-of-10", "9 servers answer after 1 ms, 1 after 100 ms", _ONE_SLOW, 10),
    _balancing("healthy-100", "100 servers that answer after 1 ms", _HEALTHY, 100),
    _balancing("slow-1-of-100", "99 servers answer after 1 ms, 1 after 100 ms", _ONE_SLOW, 100),
    Traffic(
        "discovery-churn",
        "HTTP/1, 64 connections at half of what ours can do; "
        "the set of servers changes 100 times a second, and never",
        ("ours-changing", "ours"),
        load=Load(arrivals="poisson"),
        passing=16,
        share=0.5,
        stretch=2,
        cost="p999_us",
    ),
)
