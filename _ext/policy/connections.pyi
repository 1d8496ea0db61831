from collections.abc import Iterable

from linkerd2_py._ext.metrics.connections import ConnectionMetrics
from linkerd2_py._ext.route.target import Target

class ConnectionWay:
    """To a target: None is the one that the connection is addressed to. `refusal`: nothing goes there, and
    `error` of its route's close has this word: forbidden, invalid_backend, invalid_policy or unexpected;
    `text` says it to people."""

    @property
    def logical(self) -> Target | None: ...
    @property
    def weight(self) -> int: ...
    @property
    def text(self) -> bytes: ...
    @property
    def refused(self) -> bool: ...
    def __init__(
        self, logical: Target | None = None, *, weight: int = 1, refusal: str = "", text: str = ""
    ) -> None: ...

class ConnectionRoute:
    """Each connection takes one of the ways, as often as its weight says; those of weight 0 are left out.
    ValueError where none is left."""

    @property
    def ways(self) -> tuple[ConnectionWay, ...]: ...
    @property
    def metrics(self) -> ConnectionMetrics | None: ...
    def __init__(
        self, ways: Iterable[ConnectionWay], *, metrics: ConnectionMetrics | None = None
    ) -> None: ...

class ConnectionRoutes:
    """`names`: whole ones, or `*.` with what ends those that are meant; the longest that means one decides,
    of the same the first. `by_name`: whoever asks for no name goes nowhere; else all follow `otherwise`."""

    @property
    def otherwise(self) -> ConnectionRoute | None: ...
    @property
    def by_name(self) -> bool: ...
    @property
    def plain(self) -> bool:
        """Whether all go to the target's own endpoints."""
    def __init__(
        self,
        names: Iterable[tuple[str, ConnectionRoute]] = (),
        *,
        otherwise: ConnectionRoute | None = None,
        by_name: bool = False,
    ) -> None: ...
