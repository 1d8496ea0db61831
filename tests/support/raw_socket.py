"""Blocking sockets for asserting exact bytes and exact ends: clean end, half-close, reset.

In an asyncio test call the methods through `asyncio.to_thread`.
"""

import enum
import socket
import struct
from types import TracebackType
from typing import Self

from tests.support.wait import patience

TIMEOUT_S = 10.0


class End(enum.Enum):
    """How the peer ended its direction."""

    FIN = "fin"
    RESET = "reset"


class RawConnection:
    """One TCP connection that reads exactly as much as asked and loses nothing in between."""

    def __init__(self, sock: socket.socket, *, timeout_s: float = TIMEOUT_S) -> None:
        sock.settimeout(timeout_s * patience())
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.unread = b""

    @classmethod
    def connect(cls, address: tuple[str, int], *, timeout_s: float = TIMEOUT_S) -> Self:
        return cls(
            socket.create_connection(address, timeout=timeout_s * patience()), timeout_s=timeout_s
        )

    def send(self, wire: bytes) -> None:
        self.sock.sendall(wire)

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; AssertionError with what arrived when the peer ends before."""
        while len(self.unread) < count:
            self._fill(f"{count} bytes")
        return self._take(count)

    def receive_until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        while (at := self.unread.find(mark)) < 0:
            self._fill(repr(mark))
        return self._take(at + len(mark))

    def receive_to_end(self) -> tuple[bytes, End]:
        """Everything until the peer's end, and which end it was."""
        while True:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                return self._take(len(self.unread)), End.RESET
            if not piece:
                return self._take(len(self.unread)), End.FIN
            self.unread += piece

    def assert_silent(self, *, for_s: float = 0.05) -> None:
        """Nothing arrives, not even an end, during a short while."""
        assert not self.unread, self.unread
        before = self.sock.gettimeout()
        self.sock.settimeout(for_s)
        try:
            raise AssertionError(f"expected silence, got {self.sock.recv(65536)!r}")
        except TimeoutError:
            return
        finally:
            self.sock.settimeout(before)

    def half_close(self) -> None:
        """End our direction (FIN); theirs stays readable."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        abort(self.sock)

    def close(self) -> None:
        self.sock.close()

    def _fill(self, wanted: str) -> None:
        piece = self.sock.recv(65536)
        if not piece:
            raise AssertionError(f"peer ended before {wanted}; got {self.unread!r}")
        self.unread += piece

    def _take(self, count: int) -> bytes:
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RawListener:
    """A listening socket on a free port whose connections the test plays by hand."""

    def __init__(self, *, host: str = "127.0.0.1", backlog: int = 128) -> None:
        self.sock = socket.create_server((host, 0), backlog=backlog)
        self.sock.settimeout(TIMEOUT_S * patience())

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()[:2]
        return host, port

    def accept(self) -> RawConnection:
        return RawConnection(self.sock.accept()[0])

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def abort(sock: socket.socket) -> None:
    """Close `sock` so that the peer sees RST, whatever was unsent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
