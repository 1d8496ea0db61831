"""What the injector counts, by Linkerd's names.

Linkerd has a further label for every annotation that a pod may have, whose values anybody may choose;
these are left out.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from linkerd2_py.controlplane.injector.inject import Owner
from linkerd2_py.controlplane.injector.report import Report


class Counted:
    """Reviews that were asked for, and what was said."""

    def __init__(self, metrics: CollectorRegistry) -> None:
        labels = ("owner_kind", "namespace", "annotation_at")
        self._requests = Counter(
            "proxy_inject_admission_requests",
            "Questions of API servers about pods and services",
            labels,
            registry=metrics,
        )
        self._responses = Counter(
            "proxy_inject_admission_responses",
            "Answers to them",
            (*labels, "skip", "skip_reason"),
            registry=metrics,
        )

    def asked(self, owner: Owner, namespace: str, report: Report) -> None:
        """About an object of `owner`."""
        self._requests.labels(_kind(owner), namespace, report.annotation_at).inc()

    def answered(self, owner: Owner, namespace: str, report: Report, *, skipped: bool) -> None:
        """With nothing to be changed, if `skipped`."""
        reason = ",".join(report.reasons) if skipped else ""
        self._responses.labels(
            *(_kind(owner), namespace, report.annotation_at),
            *("true" if skipped else "false", reason),
        ).inc()


def _kind(owner: Owner) -> str:
    """One of few words: who defines a kind of their own may call it anything."""
    return owner.kind if len(owner.kind) < 64 and owner.kind.isalnum() else "other"
