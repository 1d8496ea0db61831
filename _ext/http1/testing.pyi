# Python doors to the HTTP/1 codec for tests and fuzzers; not part of a wheel.

from typing import Any

from linkerd2_py._ext.exchange.limits import Limits

class ParseError(ValueError):
    # A rejected message: `.status` a client would be told, `.text` why.

    fault: int
    status: int
    text: str
    def __init__(self, fault: int) -> None: ...

def parse_request_bytes(
    message: bytes, *, limits: Limits = ..., step: int = 0
) -> dict[str, Any] | None: ...
def parse_response_bytes(
    message: bytes, *, method: bytes = b"GET", limits: Limits = ..., step: int = 0
) -> dict[str, Any] | None: ...
def read_body(
    message: bytes, *, chunked: bool = False, length: int = -1, limits: Limits = ..., step: int = 0
) -> tuple[bytes, list[tuple[bytes, bytes]], list[tuple[bytes, bytes]], int, bool]: ...
def faults() -> list[tuple[int, int, str]]: ...
def name_id(name: bytes) -> int: ...
def length_of(value: bytes) -> int: ...
def parse_many(message: bytes, rounds: int, *, request: bool = True) -> int: ...
