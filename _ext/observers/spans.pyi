from collections.abc import Callable

from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter

class Spans(Seeker):
    """Keeps spans of sampled requests, `room` bytes of them at most, until somebody takes them; `on_first` is
    called when there is one after there was none."""

    waiting: int
    lost: Counter
    on_first: Callable[[], object] | None
    def __init__(self, loop: Loop, registry: Registry, *, room: int = 262144) -> None: ...
    def take(self) -> tuple[int, bytes]:
        """How many there are, and all of them, as fields of a ScopeSpans."""
