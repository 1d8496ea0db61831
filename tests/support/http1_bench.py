"""A loop, and loopback connections with a codec at one end and plain bytes at the other."""

import socket
import struct
from collections.abc import Callable, Iterator

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.stream import Dispatch
from linkerd2_py._ext.http1.client import Http1Client
from linkerd2_py._ext.http1.server import Http1Server
from linkerd2_py._ext.http1.testing import (
    Owner,
    Recorder,
    Recording,
    call,
    open_stream,
    serve,
)
from linkerd2_py._ext.io.loop import Loop
from tests.support.turns import settle
from tests.support.wait import patience


class Wire:
    """The plain end of a connection: sends bytes, collects what comes back while the loop runs."""

    def __init__(self, loop: Loop, end: socket.socket) -> None:
        self.loop = loop
        self.end = end
        self.end.setblocking(False)
        self.received = bytearray()
        self.ended = False
        self.broken = False

    def send(self, content: bytes, *, step: int = 0) -> None:
        """All at once, or `step` bytes at a time with the codec reading each before the next."""
        for at in range(0, len(content), step or 65536):
            self.push(content[at : at + (step or 65536)])
            self.settle()

    def push(self, content: bytes) -> None:
        """Into the kernel, letting the loop run when it is full; what never fits stays unsent."""
        rest = memoryview(content)
        for _ in range(100):
            if not rest:
                return
            try:
                rest = rest[self.end.send(rest) :]
            except BlockingIOError:
                self.settle()
            except (BrokenPipeError, ConnectionResetError):
                return

    def settle(self) -> None:
        """Lets the loop do what it can do now."""
        settle(self.loop)
        self.take()

    def take(self) -> None:
        while not self.ended:
            try:
                piece = self.end.recv(1 << 20)
            except BlockingIOError:
                return
            except ConnectionResetError:
                self.broken = self.ended = True
                return
            self.received += piece
            self.ended = not piece

    def until(self, truth: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Runs the loop until something is true; fails with what was received otherwise."""

        def look() -> object:
            self.take()
            return truth()

        assert self.loop.run_until(look, timeout_s * patience()), self.received[-500:]

    def expect(self, content: bytes) -> None:
        self.until(lambda: len(self.received) >= len(content) or self.ended)
        assert self.received == content

    def expect_end(self) -> None:
        self.until(lambda: self.ended)
        assert not self.broken

    def expect_cut(self) -> None:
        self.until(lambda: self.ended)
        assert self.broken

    def finish(self) -> None:
        """FIN: nothing more will be sent."""
        self.end.shutdown(socket.SHUT_WR)
        self.settle()

    def cut(self) -> None:
        """RST."""
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end.close()

    def close(self) -> None:
        self.end.close()


class Bench:
    """Makes codecs on loopback connections and cleans them up."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.wires: list[Wire] = []

    def pair(self, *, receive_bytes: int = 0) -> tuple[Wire, int]:
        """(plain end, descriptor for a codec)."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            if receive_bytes:
                plain = socket.socket()
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
                plain.connect(listening.getsockname())
            else:
                plain = socket.create_connection(listening.getsockname())
            accepted, _ = listening.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setblocking(False)
        wire = Wire(self.loop, plain)
        self.wires.append(wire)
        return wire, accepted.detach()

    def server(
        self,
        dispatch: Dispatch | None = None,
        *,
        limits: Limits | None = None,
        informational: bool = False,
        receive_bytes: int = 0,
    ) -> tuple[Wire, Recording, Http1Server]:
        """A server codec; the wire is its client."""
        wire, fd = self.pair(receive_bytes=receive_bytes)
        recording = dispatch if isinstance(dispatch, Recording) else Recording()
        server = serve(
            self.loop,
            fd,
            dispatch or recording,
            limits=limits or Limits(),
            informational=informational,
        )
        wire.settle()
        return wire, recording, server

    def client(
        self, *, limits: Limits | None = None, receive_bytes: int = 0
    ) -> tuple[Wire, Owner, Http1Client]:
        """A client codec; the wire is its endpoint."""
        wire, fd = self.pair(receive_bytes=receive_bytes)
        owner = Owner()
        client = call(self.loop, fd, owner, limits=limits or Limits())
        wire.settle()
        return wire, owner, client

    def exchange(
        self, *, limits: Limits | None = None
    ) -> tuple[Wire, Owner, Http1Client, Recorder]:
        """A client codec with a stream open."""
        wire, owner, client = self.client(limits=limits)
        return wire, owner, client, open_stream(client)


def running_bench() -> Iterator[Bench]:
    """For a fixture: a bench whose loop saw no error."""
    loop = Loop()
    errors: list[BaseException] = []
    loop.on_error = lambda error, _: errors.append(error)
    made = Bench(loop)
    yield made
    for wire in made.wires:
        wire.close()
    settle(loop)
    loop.close()
    assert not errors
