"""All scenarios, in the order in which they are measured."""

from collections.abc import Mapping

from bench.scenarios import http1
from bench.scenarios.scenario import Scenario

ALL: Mapping[str, Scenario] = {scenario.name: scenario for scenario in (*http1.SCENARIOS,)}
