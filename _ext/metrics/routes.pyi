from linkerd2_py._ext.metrics.labels import LabelPairs
from linkerd2_py._ext.metrics.registry import Registry

class RouteMetrics:
    """What outbound_http_route_* and its siblings count of one route, or `of_backend` of its requests to one
    backend. `grpc`: of a route of gRPC."""

    def __init__(
        self,
        registry: Registry,
        labels: LabelPairs,
        *,
        grpc: bool = False,
        of_backend: bool = False,
    ) -> None: ...

class RetryMetrics:
    """What outbound_http_route_retry_* count of one route, or route_retryable_total of a route
    `of_profile`."""

    def __init__(
        self,
        registry: Registry,
        labels: LabelPairs,
        *,
        grpc: bool = False,
        of_profile: bool = False,
    ) -> None: ...
