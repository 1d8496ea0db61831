from linkerd2_py._ext.exchange.plan import Plan

class RouteTable:
    """Which plan the requests to one target follow; without `otherwise` they have none. Immutable."""

    @property
    def otherwise(self) -> Plan | None: ...
    def __init__(self, *, otherwise: Plan | None = None) -> None: ...
