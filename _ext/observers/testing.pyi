from collections.abc import Iterable

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.observers.access_log import AccessLog
from linkerd2_py._ext.observers.lines import Lines

LINE_MOST: int

def read(fields: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bool] | None: ...
def renamed(
    fields: Iterable[tuple[bytes, bytes]], span_id: bytes
) -> list[tuple[bytes, bytes]] | None: ...
def put(lines: Lines, line: bytes) -> bool: ...
def waiting(lines: Lines) -> int: ...
def time_text(log: AccessLog, wall_ns: int) -> bytes: ...
def line(
    loop: Loop,
    lines: Lines,
    *,
    json: bool,
    method: bytes = b"GET",
    scheme: bytes = b"",
    authority: bytes = b"",
    path: bytes = b"/",
    fields: Iterable[tuple[bytes, bytes]] = (),
    http2: bool = False,
    peer: Address | None = None,
    identity: bytes | None = None,
    status: int = 200,
    wall_ns: int = 0,
    content_length: int = -1,
    response_length: int = -1,
) -> bytes: ...
