"""gRPC message framing: a flag byte, four bytes of length, the message.

Compression is never offered, so the flag must be zero. A message longer than the bound is refused by its
length alone, before its bytes are kept.
"""

from __future__ import annotations

from typing import Final

from linkerd2_py.base.grpc.status import Code, GrpcError

MESSAGE_MAX_BYTES: Final = 4 * 1024 * 1024
"""gRPC's usual bound; a discovery update of 10,000 endpoints stays well below."""

_PREFIX: Final = 5


def frame(message: bytes) -> bytes:
    """One message as it travels."""
    return b"\0" + len(message).to_bytes(4) + message


class FrameReader:
    """Cuts a stream of bytes into messages; holds at most one message that is not whole."""

    __slots__ = ("_limit", "_pending")

    def __init__(self, *, limit: int = MESSAGE_MAX_BYTES) -> None:
        self._limit = limit
        self._pending = bytearray()

    @property
    def at_boundary(self) -> bool:
        """Whether no message has begun that has not ended."""
        return not self._pending

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that `chunk` completes. GrpcError when the bytes are no messages we take."""
        pending = self._pending
        pending += chunk
        messages, at = [], 0
        while len(pending) - at >= _PREFIX:
            size = self._size(pending, at=at)
            if len(pending) - at - _PREFIX < size:
                break
            at += _PREFIX
            messages.append(bytes(pending[at : at + size]))
            at += size
        del pending[:at]
        return messages

    def _size(self, pending: bytearray, *, at: int) -> int:
        if pending[at]:
            raise GrpcError(Code.INTERNAL, "a compressed message that was not asked for")
        size = int.from_bytes(pending[at + 1 : at + _PREFIX])
        if size > self._limit:
            raise GrpcError(
                Code.RESOURCE_EXHAUSTED, f"a message of {size} bytes, {self._limit} are allowed"
            )
        return size
