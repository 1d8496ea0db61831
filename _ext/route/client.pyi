from linkerd2_py._ext.metrics.series import Counter

class Client:
    """Who is at the other end of a connection: its identity, where that was proven, and whether the
    connection is TLS that we terminate."""

    @property
    def identity(self) -> str | None: ...
    @property
    def secured(self) -> bool: ...
    @property
    def labels(self) -> tuple[tuple[str, str], ...]: ...

class Permission:
    """An answer of policy. `refusal`: why the client is not let in, None lets it in. The counters count the
    requests and the opaque connections it was given for."""

    def __init__(
        self,
        *,
        refusal: str | None = None,
        requests: Counter | None = None,
        connections: Counter | None = None,
    ) -> None: ...
