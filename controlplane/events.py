"""Events, which tell whoever looks at an object in the cluster what happened to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json

LIMIT_S: Final = 5.0
"""For telling one; who waits longer for an API server has other worries."""
# What an API server takes.
_LONGEST: Final = 1024


def event(
    reason: str, news: str, *, about: Json, component: str, at: float, is_warning: bool = False
) -> Json:
    """What is new `about` the object with this reference, in its namespace."""
    now = time_stamp(at)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{component}.", "namespace": about["namespace"]},
        "involvedObject": about,
        "type": "Warning" if is_warning else "Normal",
        "reason": reason,
        "message": news[:_LONGEST],
        "source": {"component": component},
        "reportingComponent": component,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def events_path(namespace: str) -> str:
    """Where they are made."""
    return f"/api/v1/namespaces/{namespace}/events"


def time_stamp(at: float) -> str:
    """A moment (Unix seconds) as objects have it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
