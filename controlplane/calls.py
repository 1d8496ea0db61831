"""What a service is, whoever serves it: methods that answer calls, and how a call is refused.

A method gets the request encoded, and answers encoded: the same bytes go to everybody who asks the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Protocol

import grpc

from linkerd2_py._ext.route.call import Call

# What gRPC and HTTP say by themselves.
_RESERVED: Final = frozenset({b"te", b"content-type", b"user-agent", b"l5d-client-id"})


class RefusedCallError(Exception):
    """The call ends with this status."""

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code


class ProxyCall:
    """One call, as its method sees it: it is cancelled when the caller goes."""

    __slots__ = ("metadata", "outlet")

    def __init__(self, outlet: Call, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.outlet = outlet
        """Where its messages leave."""
        self.metadata = _metadata(headers)

    @property
    def peer(self) -> str:
        """The caller's address; all calls of one connection have the same, and no other has it."""
        return str(self.outlet.peer)

    @property
    def remaining_s(self) -> float | None:
        """How long the caller still waits, where it says so."""
        remaining_ns = self.outlet.remaining_ns
        return None if remaining_ns is None else remaining_ns / 1e9

    def begin(self, metadata: Mapping[str, str]) -> None:
        """The answer begins with this, before its first message."""
        self.outlet.begin([(name.encode(), value.encode()) for name, value in metadata.items()])

    def send(self, message: bytes) -> None:
        """One more message."""
        if not self.outlet.send((message,)):
            raise RefusedCallError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many messages wait to be read"
            )


class Standing(Protocol):
    """An answer that goes on after its method has returned: a server holds thousands, and nothing runs for
    one that has nothing to say.
    """

    def deliver(self, call: Call) -> None:
        """Send what there is and whatever comes, and finish the call when that ends."""

    def release(self) -> None:
        """Nobody hears it any more. May be repeated."""


Method = Callable[[bytes, ProxyCall], Awaitable[bytes | Standing | None]]
"""Bytes that it returns are the last message. It raises `RefusedCallError` for every other status than OK."""
Methods = Mapping[str, Method]
"""Those of a service, by their names."""

_NOTHING: Final[Mapping[str, str]] = {}


def _metadata(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Most callers say nothing, and a server holds many calls."""
    said = {
        name.decode("ascii", "replace"): value.decode("ascii", "replace")
        for name, value in headers
        if name not in _RESERVED and not name.startswith(b"grpc-")
    }
    return said or _NOTHING
