"""What it costs to look at each request: routes with a time and another try, and who may ask for what, and
how much. Beside Envoy with the same rules, and both without.
"""

from bench.programs import Load
from bench.scenarios.scenario import Scenario
from bench.scenarios.traffic import Traffic

_PATH = "/api/list"
_ROUTED = ("ours-routed", "ours", "envoy-routed", "envoy")

SCENARIOS: tuple[Scenario, ...] = (
    Traffic(
        "routes-http1",
        "HTTP/1 keep-alive, 64 connections, 128 B: ten routes, each with a time and another try",
        _ROUTED,
        load=Load(path=_PATH),
    ),
    Traffic(
        "policy-http1",
        "HTTP/1 keep-alive, 64 connections, 128 B, before one workload: "
        "ten routes of which each says who may, and a rate",
        ("ours-policed", "ours-inbound", "envoy-policed", "envoy"),
        load=Load(path=_PATH),
        endpoints=1,
    ),
)
