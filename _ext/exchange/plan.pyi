from collections.abc import Iterable

from linkerd2_py._ext.exchange.observe import Observer

class Plan:
    """What the shell decided about the exchanges of one route. Immutable; TypeError for what is no
    observer."""

    @property
    def observers(self) -> tuple[Observer, ...]: ...
    def __init__(self, *, observers: Iterable[Observer] = ()) -> None: ...
