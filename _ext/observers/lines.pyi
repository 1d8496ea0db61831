from collections.abc import Callable

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter

class Lines:
    """Takes lines for `fd`, which stays its owner's, and keeps up to `room` bytes of them while it takes
    none. `asks`: a write there may wait, so it is asked first. `on_lost` is told how many lines there was no
    room for, once a second at most, when the descriptor takes lines again."""

    lost: Counter
    def __init__(
        self,
        loop: Loop,
        registry: Registry,
        *,
        fd: int,
        asks: bool = True,
        room: int = 262144,
        on_lost: Callable[[int], object] | None = None,
    ) -> None: ...
    def close(self) -> None:
        """Writes what the descriptor still takes, and no more. Idempotent."""
