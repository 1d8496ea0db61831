"""Where the components of one process count what they do."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter

from linkerd2_py.base.tasks import FAILURES, FAILURES_HELP, count_failures


@contextmanager
def own_metrics() -> Iterator[CollectorRegistry]:
    """With the failures of this process's tasks."""
    metrics = CollectorRegistry()
    failures = Counter(FAILURES, FAILURES_HELP, ("task",), registry=metrics)
    stop = count_failures(lambda kind, more: failures.labels(kind).inc(more))
    try:
        yield metrics
    finally:
        stop()
