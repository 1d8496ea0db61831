from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.target import Target, TargetTable

Fields: TypeAlias = list[tuple[bytes, bytes]]

class LocalRequest:
    held: bool
    ended: bool
    def send(self, body: bytes, *, end: bool = False) -> None: ...
    def cancel(self) -> None: ...
    def hold_response(self) -> None: ...
    def unhold_response(self) -> None: ...

class LocalClient:
    def __init__(self, table: TargetTable) -> None: ...
    def request(
        self,
        target: Target,
        *,
        method: bytes = b"GET",
        path: bytes = b"/",
        authority: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        http2: bool = False,
        end: bool = True,
        on_head: Callable[[int, Fields], None],
        on_body: Callable[[bytes], None],
        on_end: Callable[[Fields | None], None],
        on_reset: Callable[[str, int], None],
    ) -> LocalRequest: ...

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
