from collections.abc import Callable
from typing import Literal

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.gate import Denial, Gate
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop

class HeldRequest:
    """A request that waits to be let in. What is asked of it holds while it waits, and is empty after; what
    is said of it counts once, and not at all when it is over."""

    on_gone: Callable[[], object] | None
    """Called once when its client has gone, or it is over else, before anything was said of it."""
    @property
    def over(self) -> bool:
        """Something was said of it, or nobody waits any more."""
    @property
    def target(self) -> bytes:
        """Host and port that it is addressed to."""
    @property
    def peer(self) -> Address | None:
        """Who sends it; None: nobody knows."""
    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes:
        """With its query."""
    @property
    def authority(self) -> bytes: ...
    @property
    def scheme(self) -> bytes:
        """May be empty: http."""
    @property
    def version(self) -> Literal["HTTP/1.0", "HTTP/1.1", "HTTP/2"]: ...
    @property
    def size(self) -> int:
        """Of its body; -1: not known."""
    def fields(self) -> list[tuple[bytes, bytes]]:
        """Names in lower case. What only proxies may say is not among them."""
    def let_in(self, edits: Edits | None = None) -> None:
        """It goes on, changed so."""
    def deny(self, denial: Denial) -> None:
        """It goes no further."""

class Checkpoint(Gate):
    """`on_request` is told of each request that is held."""

    def __init__(self, loop: Loop, *, on_request: Callable[[HeldRequest], object]) -> None: ...
    @property
    def count(self) -> int:
        """Requests that wait now."""
