"""What the identity service counts; the names are Linkerd's where Linkerd has one."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.controlplane.identity.refusals import Reason

ISSUED: Final = "issued"
FAILED: Final = "internal_error"


class IssuerEvent(StrEnum):
    """What became of a change of the issuer's files, or of the issuer itself: Linkerd's reasons of events."""

    UPDATED = "IssuerUpdated"
    SKIPPED = "IssuerUpdateSkipped"
    FAILED = "IssuerValidationFailed"


class IdentityMetrics:
    """The counters of one service, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._handled = Counter(
            "grpc_server_handled",
            "RPCs completed on the server, by what they were answered with",
            ("grpc_type", "grpc_service", "grpc_method", "grpc_code"),
            registry=registry,
        )
        self._results = Counter(
            "identity_certify",
            "Requests for a certificate, by result: issued, or the reason of the refusal",
            ("result",),
            registry=registry,
        )
        self._issuer = Counter(
            "identity_issuer_updates",
            "Changes of the issuer's files, by what became of them",
            ("event",),
            registry=registry,
        )
        for result in (ISSUED, FAILED, *Reason):
            self._results.labels(result)
        for event in IssuerEvent:
            self._issuer.labels(event)

    def count_call(self, service: str, *, method: str, code: str, result: str) -> None:
        """One answered call; `code` as gRPC for Go writes it, e.g. `InvalidArgument`."""
        self._handled.labels("unary", service, method, code).inc()
        self._results.labels(result).inc()

    def count_issuer(self, event: IssuerEvent) -> None:
        """One change of the issuer's files."""
        self._issuer.labels(event).inc()

    def show_issuer_ttl(self, remaining_s: Callable[[], float]) -> None:
        """Expose how many seconds the issuer's chain has left; negative when it has expired."""
        ttl = Gauge(
            "issuer_cert_ttl_seconds",
            "The remaining seconds until the issuer's chain expires",
            registry=self._registry,
        )
        ttl.set_function(remaining_s)
