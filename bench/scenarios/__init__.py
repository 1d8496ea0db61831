"""All scenarios, in the order in which they are measured."""

from collections.abc import Mapping

from bench.scenarios import (
    balancing,
    control_plane,
    cross_check,
    http1,
    http2,
    idle,
    metrics,
    routes,
    start,
    tap,
    tls,
    tunnels,
)
from bench.scenarios.scenario import Scenario

_FAMILIES = (
    http1,
    http2,
    tunnels,
    tls,
    balancing,
    routes,
    metrics,
    tap,
    idle,
    start,
    control_plane,
    cross_check,
)

ALL: Mapping[str, Scenario] = {
    scenario.name: scenario for family in _FAMILIES for scenario in family.SCENARIOS
}
