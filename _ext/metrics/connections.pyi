from linkerd2_py._ext.metrics.labels import LabelPairs
from linkerd2_py._ext.metrics.registry import Registry

class ConnectionMetrics:
    """What outbound_tcp_route_* or, where `tls`, outbound_tls_route_* count of one route."""

    def __init__(self, registry: Registry, labels: LabelPairs, *, tls: bool = False) -> None: ...
