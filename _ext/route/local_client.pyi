from collections.abc import Callable, Iterable
from typing import TypeAlias

from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable

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
