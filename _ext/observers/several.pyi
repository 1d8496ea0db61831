from collections.abc import Sequence

from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.loop import Loop

class Several(Seeker):
    """All of these seekers, for a server that has room for one. One of them at least always looks."""

    seekers: tuple[Seeker, ...]
    def __init__(self, loop: Loop, seekers: Sequence[Seeker]) -> None: ...
