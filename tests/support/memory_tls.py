"""TLS between memory and memory: Python's `ssl` as the other end of a channel, and the carrying
to and fro.
"""

import contextlib
import ssl
from typing import Final, Protocol

from linkerd2_py._ext.tls.testing import MemoryChannel
from tests.support.workloads import name_of

SIDES: Final = ("serving", "calling")
WEB: Final = name_of("web")
VOTING: Final = name_of("voting")


class TlsEnd(Protocol):
    """What a channel of the engine and Python's have in common."""

    def feed(self, ciphertext: bytes) -> None: ...
    def said(self) -> bytes: ...
    def handshake(self) -> str: ...

    @property
    def failure(self) -> str | None: ...


class PythonEnd:
    """ssl.SSLObject between two MemoryBIOs; answers as a channel of the engine does."""

    def __init__(self, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.failure: str | None = None
        self.tls = context.wrap_bio(
            self._in, self._out, server_side=server_name is None, server_hostname=server_name
        )

    def feed(self, ciphertext: bytes) -> None:
        self._in.write(ciphertext)

    def said(self) -> bytes:
        return self._out.read()

    def handshake(self) -> str:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return "more"
        except ssl.SSLError as error:
            self.failure = str(error)
            return "broken"
        return "done"

    def read(self, room: int = 1 << 20) -> bytes | str:
        try:
            return self.tls.read(room) or "end"
        except ssl.SSLWantReadError:
            return "more"
        except ssl.SSLZeroReturnError:
            return "end"
        except ssl.SSLError as error:
            self.failure = str(error)
            return "broken"

    def write(self, plaintext: bytes) -> None:
        for start in range(0, len(plaintext), 16384):
            self.tls.write(plaintext[start : start + 16384])

    def close_notify(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    @property
    def peer_certificate(self) -> bytes | None:
        """In DER."""
        return self.tls.getpeercert(binary_form=True)


def shake(one: TlsEnd, other: TlsEnd, *, piece: int = 1 << 20) -> tuple[str, str]:
    """Carries bytes to and fro, in pieces of `piece`, until neither end says more: how far each came."""
    ends, states = (one, other), ["more", "more"]
    silent = 0
    while silent < 2:
        for here in (0, 1):
            if states[here] in ("more", "full"):
                states[here] = ends[here].handshake()
            said = ends[here].said()
            silent = 0 if said or states[here] == "full" else silent + 1
            for start in range(0, len(said), piece):
                ends[1 - here].feed(said[start : start + piece])
                if states[1 - here] in ("more", "full") and piece < len(said):
                    states[1 - here] = ends[1 - here].handshake()
    return states[0], states[1]


def carry(source: TlsEnd, target: TlsEnd) -> None:
    target.feed(source.said())


def read_all(end: "PythonEnd | TlsReader") -> tuple[bytes, str]:
    """Everything that is here, and what comes behind it."""
    got = bytearray()
    while isinstance(piece := end.read(), bytes):
        got += piece
    return bytes(got), piece


class TlsReader(Protocol):
    def read(self, room: int = ...) -> bytes | str: ...


def python_client(context: ssl.SSLContext) -> PythonEnd:
    context.check_hostname = False
    return PythonEnd(context, server_name=VOTING)


class Met:
    """A channel, serving or calling, and a stranger of Python's at its other end."""

    def __init__(self, ours: MemoryChannel, theirs: PythonEnd) -> None:
        self.ours, self.theirs = ours, theirs

    def shake(self, *, piece: int = 1 << 20) -> tuple[str, str]:
        return shake(self.ours, self.theirs, piece=piece)

    def let_go(self) -> None:
        """The test holds us until it has been looked for what it left behind."""
        del self.ours, self.theirs

    def settle(self) -> None:
        """After the handshake: tickets and the like go where they belong."""
        carry(self.theirs, self.ours)
        assert self.ours.read() == "more"
        carry(self.ours, self.theirs)
