from collections.abc import Callable

from linkerd2_py._ext.io.actor import Actor
from linkerd2_py._ext.io.address import Address, SocketOptions
from linkerd2_py._ext.io.loop import Loop, Source
from linkerd2_py._ext.metrics.tcp import TcpMetrics

class Accepting(Actor): ...

class Listener(Source):
    on_exhausted: Callable[[Listener], object] | None
    def __init__(
        self,
        loop: Loop,
        where: int | tuple[str, int] | Address,
        accepting: Accepting,
        options: SocketOptions | None = None,
        metrics: TcpMetrics | None = None,
        backlog: int = 1024,
        hold: bool = False,
    ) -> None: ...
    @property
    def address(self) -> Address: ...
    @property
    def accepted(self) -> int: ...
    @property
    def shed(self) -> int: ...
    @property
    def exhausted(self) -> int: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
