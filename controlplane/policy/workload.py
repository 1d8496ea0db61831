"""Who asks for a policy, as proxies say it: a pod or an external workload, and its namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass


class InvalidWorkloadError(ValueError):
    """It says nobody."""


@dataclass(frozen=True, slots=True)
class AskingWorkload:
    """Exactly one of `pod` and `external_workload` is named."""

    namespace: str
    pod: str = ""
    external_workload: str = ""


def parse_workload(written: str) -> AskingWorkload:
    """`{"ns": …, "pod": …}`, `{"ns": …, "external_workload": …}` or, of old proxies, `namespace:pod`."""
    found = _object(written) if written.startswith("{") else _pair(written)
    if found is None:
        raise InvalidWorkloadError(f"Invalid workload: {written}")
    return found


def _object(written: str) -> AskingWorkload | None:
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    namespace, pod, external = (found.get(name) for name in ("ns", "pod", "external_workload"))
    if isinstance(namespace, str) and isinstance(external, str) and pod is None:
        return AskingWorkload(namespace, external_workload=external)
    if isinstance(namespace, str) and isinstance(pod, str) and external is None:
        return AskingWorkload(namespace, pod=pod)
    return None


def _pair(written: str) -> AskingWorkload | None:
    namespace, _, pod = written.partition(":")
    return AskingWorkload(namespace, pod=pod) if namespace and pod else None
