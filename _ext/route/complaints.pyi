from collections.abc import Callable

from linkerd2_py._ext.io.loop import Loop

class Complaints:
    """What servers that have it answer in the proxy's own name: `on_answer(target, endpoint, status, reason,
    more)` is told of each reason once a second at most, and how many more there were since."""

    def __init__(
        self, loop: Loop, on_answer: Callable[[bytes | None, str | None, int, bytes, int], object]
    ) -> None: ...
