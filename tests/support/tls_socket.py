"""Python's TLS behind the face of a plain socket: what a test says to a plain peer it can say to an encrypted
one.

Only close_notify is a clean end here. An end without it raises what a reset raises, as the engine's own
transports see it.
"""

import contextlib
import socket
import ssl
from typing import Self

from tests.support.raw_socket import RawConnection, abort

PIECE = 65536
RECORD = 16384


class TlsSocket:
    """`plain` is the socket below, for tests that say what TLS would not."""

    def __init__(
        self, plain: socket.socket, side: ssl.SSLContext, *, server_name: str | None = None
    ) -> None:
        self.plain = plain
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = side.wrap_bio(
            self._in, self._out, server_side=server_name is None, server_hostname=server_name
        )
        self._unsent, self._unsent_plain = b"", 0
        self._unread = bytearray()
        self._ended = self._said_goodbye = False
        self.failure = ""

    # ---- handshake

    def shake(self) -> bool:
        """As far as it goes without waiting; whether it is done."""
        was = self.plain.gettimeout()
        self.plain.setblocking(False)
        try:
            while not self._shook():
                self._receive()
        except BlockingIOError:
            return False
        finally:
            self.plain.settimeout(was)
        return True

    def _shook(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self.failure = str(error)
            raise
        finally:
            self._flush()
        return True

    # ---- what a socket does

    def recv(self, room: int) -> bytes:
        while not self._unread and not self._ended:
            if not self._decrypt():
                self._receive()
        while len(self._unread) < room and self._decrypt():
            pass
        got = bytes(self._unread[:room])
        del self._unread[:room]
        return got

    def send(self, content: bytes) -> int:
        """Answers for bytes whose records are gone, whole: who is refused offers the same bytes again."""
        self._flush()
        if not self._unsent_plain:
            self._unsent_plain = self.tls.write(content[:RECORD])
            self._flush()
        taken, self._unsent_plain = self._unsent_plain, 0
        return taken

    def sendall(self, content: bytes) -> None:
        while content:
            content = content[self.send(content) :]

    def shutdown(self, how: int) -> None:
        """Our clean end, as one segment."""
        assert how == socket.SHUT_WR
        self.say_goodbye()
        self.plain.shutdown(how)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.say_goodbye()
        self.plain.close()

    def say_goodbye(self) -> None:
        """close_notify, without a FIN."""
        # The library would take what it finds unread for a violation.
        while self._decrypt():
            pass
        if not self._said_goodbye:
            self._said_goodbye = True
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        self._flush()

    def fileno(self) -> int:
        return self.plain.fileno()

    def setblocking(self, blocking: bool) -> None:
        self.plain.setblocking(blocking)

    def settimeout(self, seconds: float | None) -> None:
        self.plain.settimeout(seconds)

    def gettimeout(self) -> float | None:
        return self.plain.gettimeout()

    def setsockopt(self, level: int, name: int, value: int) -> None:
        self.plain.setsockopt(level, name, value)

    # ---- between the two

    def hello(self) -> bytes:
        """The first flight of a client, for the test to send."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    def shake_with(self, wire: bytes) -> bool:
        """Whether the server's flight ends with `wire`; our answer waits for `encrypt`."""
        self._in.write(wire)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, content: bytes) -> bytes:
        """What waits and records of `content`, for the test to send."""
        assert not self._unsent
        self.tls.write(content)
        return self._out.read()

    def _decrypt(self) -> bool:
        """Takes a record out of what was received."""
        try:
            piece = self.tls.read(PIECE)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            piece = b""
        self._ended = self._ended or not piece
        self._unread += piece
        return bool(piece)

    def _receive(self) -> None:
        if self._ended:
            return
        wire = self.plain.recv(PIECE)
        if not wire:
            raise ConnectionResetError("an end without close_notify")
        self._in.write(wire)

    def _flush(self) -> None:
        self._unsent += self._out.read()
        while self._unsent:
            self._unsent = self._unsent[self.plain.send(self._unsent) :]


class TlsConnection(RawConnection):
    """The other end of a TLS transport, in the test's hands."""

    sock: TlsSocket  # type: ignore[assignment] # a socket in all that is called

    @classmethod
    def over(
        cls, plain: socket.socket, side: ssl.SSLContext, *, server_name: str | None = None
    ) -> Self:
        return cls(TlsSocket(plain, side, server_name=server_name))  # type: ignore[arg-type] # see above

    @property
    def plain(self) -> socket.socket:
        return self.sock.plain

    def reset(self) -> None:
        abort(self.plain)

    def truncate(self) -> None:
        """FIN, but no close_notify."""
        self.plain.shutdown(socket.SHUT_WR)
