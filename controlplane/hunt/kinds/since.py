"""Since when pods have been failing, as far as samples are kept."""

from collections.abc import Collection
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.words import ago
from linkerd2_py.controlplane.mesh.objects import Key

_SLACK_S: Final = 30.0
"""Until a program is ready and somebody asks it."""


def since(pods: Collection[Key], *, evidence: Evidence) -> str:
    """` since they started`, ` for 3m`, or nothing where that is not known."""
    lasted = evidence.window_s
    for earlier in evidence.history:
        minutes = [earlier[pod] for pod in pods if pod in earlier]
        if not any(sum(minute) for minute in minutes):
            break
        if not any(minute.failed >= 1 for minute in minutes):
            return f" for {ago(lasted)}"
        lasted += evidence.window_s
    started = [evidence.mesh.pods[pod].started for pod in pods if pod in evidence.mesh.pods]
    ages = [evidence.now - one for one in started if one]
    if ages and max(ages) <= lasted + _SLACK_S:
        return " since they started" if len(pods) > 1 else " since it started"
    return f" for at least {ago(lasted)}" if evidence.history else ""
