from collections.abc import Iterable

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.plan import Refusal, Ways
from linkerd2_py._ext.metrics.routes import RouteMetrics
from linkerd2_py._ext.route.target import Target

class Way:
    """To a target: None is the one that the request is addressed to. `refusal`: nothing goes there; its
    requests are answered so."""

    @property
    def logical(self) -> Target | None: ...
    @property
    def refusal(self) -> Refusal | None: ...
    @property
    def weight(self) -> int: ...
    def __init__(
        self,
        logical: Target | None = None,
        *,
        weight: int = 1,
        refusal: Refusal | None = None,
        metrics: RouteMetrics | None = None,
        request_edits: Edits | None = None,
        response_edits: Edits | None = None,
    ) -> None: ...

class Split(Ways):
    """Each request takes one of the ways, as often as its weight says; those of weight 0 are left out.
    ValueError where none is left."""

    @property
    def ways(self) -> tuple[Way, ...]: ...
    def __init__(self, ways: Iterable[Way]) -> None: ...
