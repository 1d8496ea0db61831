from linkerd2_py._ext.exchange.observe import Seeker
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.observers.lines import Lines

class AccessLog(Seeker):
    """Writes a line for each request of the servers that it is given to; apache's format, or `json`."""

    def __init__(self, loop: Loop, lines: Lines, *, json: bool) -> None: ...
