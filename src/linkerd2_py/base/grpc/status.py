"""gRPC status codes, and what HTTP and HTTP/2 failures mean as one (the gRPC over HTTP/2 protocol)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Final

Fields = Iterable[tuple[bytes, bytes]]

_MESSAGE_MAX: Final = 1024
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


class Code(enum.IntEnum):
    """The codes of the gRPC specification."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class GrpcError(Exception):
    """A call that did not end with OK."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(f"{code.name}: {message}" if message else code.name)
        self.code = code
        self.message = message


_FROM_HTTP: Final[Mapping[int, Code]] = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}
_REFUSED_STREAM, _CANCEL, _ENHANCE_YOUR_CALM, _INADEQUATE_SECURITY = 7, 8, 11, 12
_FROM_RESET: Final[Mapping[int, Code]] = {
    _REFUSED_STREAM: Code.UNAVAILABLE,
    _CANCEL: Code.CANCELLED,
    _ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    _INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}


def status_of(fields: Fields) -> GrpcError | None:
    """The status that `grpc-status` and `grpc-message` carry; None when there is no `grpc-status`. An OK
    is a `GrpcError` with that code too.
    """
    found = dict(fields)
    text = found.get(b"grpc-status")
    if text is None:
        return None
    message = _unescape(found.get(b"grpc-message", b""))
    if not (text.isdigit() and len(text) <= 3 and int(text) <= Code.UNAUTHENTICATED):
        return GrpcError(Code.UNKNOWN, f"unknown grpc-status {text[:16]!r}; {message}")
    return GrpcError(Code(int(text)), message)


def status_of_http(status: int) -> GrpcError:
    """What an HTTP response without gRPC in it means."""
    return GrpcError(_FROM_HTTP.get(status, Code.UNKNOWN), f"HTTP status {status}")


def status_of_reset(text: str, *, code: int) -> GrpcError:
    """What the reset of a stream or the loss of its connection means."""
    return GrpcError(_FROM_RESET.get(code, Code.UNAVAILABLE), text)


def _unescape(raw: bytes) -> str:
    plain = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), raw[: 3 * _MESSAGE_MAX])
    return plain.decode("utf-8", "replace")[:_MESSAGE_MAX]
