from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop

Fields: TypeAlias = list[tuple[bytes, bytes]]

class Request:
    method: bytes
    path: bytes
    authority: bytes
    headers: Fields
    peer: Address
    @property
    def body(self) -> bytes: ...
    def respond(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | Iterator[bytes] = b"",
    ) -> None: ...

class LocalServer:
    loop: Loop
    def __init__(
        self,
        loop: Loop,
        *,
        on_request: Callable[[Request], None],
        limits: Limits | None = None,
        connections_max: int = 100,
    ) -> None: ...
    def listen(self, host: str, port: int) -> Address: ...
    def drain(self) -> None: ...
