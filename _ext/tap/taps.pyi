from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.tap.match import Matcher

class Taps(Seeker):
    """All who watch one proxy's exchanges; `most` at once."""

    loop: Loop
    most: int
    def __init__(self, loop: Loop, registry: Registry, *, most: int = 100) -> None: ...
    @property
    def open(self) -> int:
        """Those that are not over."""
    def observe(
        self, call: Call, matcher: Matcher, *, limit: int, max_rps: float, fields: bool = False
    ) -> bool:
        """Tells the caller of the first `limit` exchanges that match, at most `max_rps` a second, and
        finishes the call when all of them have ended. `fields`: with the fields of heads and trailers. False,
        and nothing was done: there are as many taps as there may be."""
    def close(self) -> None:
        """Ends all of them. Idempotent."""
