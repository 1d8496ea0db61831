"""`python -m bench.control_plane.asking ADDRESS PATH STREAMS CONNECTIONS`: proxies that ask for a path over
gRPC, all in one process and all at once.

Prints a line whenever every stream has got one more message. It is not a library's client, for that costs
more for a message than the server: it sends what was encoded once, and counts what comes by its frames.
"""

import resource
import selectors
import socket
import struct
import sys
from collections.abc import Iterator, Sequence

import hpack

from linkerd2_py.proto.gen import destination_pb2 as messages

GET = "/io.linkerd.proxy.destination.Destination/Get"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 1
_END_HEADERS = 4
_WIDE = 1 << 30
_RECV_BYTES = 1 << 18


def _frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def _first() -> bytes:
    """Windows so wide that nothing need be said of them later."""
    window = _frame(_SETTINGS, payload=struct.pack(">HI", 4, _WIDE))
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + window
        + _frame(_WINDOW, payload=struct.pack(">I", _WIDE))
    )


def _head() -> bytes:
    """Which neither side's table remembers, so that it is the same for every stream."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": GET,
        ":authority": "bench",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    never = [hpack.NeverIndexedHeaderTuple(name, value) for name, value in fields.items()]
    head: bytes = hpack.Encoder().encode(never)
    return head


class Asking:
    """Streams, and how many messages each has got."""

    def __init__(self, streams: int) -> None:
        self._missing = [streams]
        self._streams = streams

    def got(self, number: int) -> None:
        """One stream, its so manieth message."""
        if number == len(self._missing):
            self._missing.append(self._streams)
        self._missing[number] -= 1
        if not self._missing[number]:
            print("told", flush=True)


class Link:
    """One connection and its streams, each of which is some bytes of a message that is not whole yet."""

    def __init__(self, address: tuple[str, int], asking: Asking) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(_first())
        self.sock.setblocking(False)
        self._asking = asking
        self._next = 1
        self._received = b""
        self._bodies: dict[int, bytes] = {}
        self._counts: dict[int, int] = {}

    def ask(self, head: bytes, request: bytes) -> None:
        """One stream more."""
        stream, self._next = self._next, self._next + 2
        self._bodies[stream], self._counts[stream] = b"", 0
        self.sock.sendall(
            _frame(_HEADERS, _END_HEADERS, stream, head)
            + _frame(_DATA, _END_STREAM, stream, request)
        )

    def read(self) -> None:
        """Whatever has come."""
        received = self.sock.recv(_RECV_BYTES)
        if not received:
            raise EOFError("the server ended a connection")
        self._received += received
        for frame in self._frames():
            self._hear(*frame)

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        at, received = 0, self._received
        while at + 9 <= len(received):
            high, low, kind, flags, stream = struct.unpack_from(">BHBBI", received, at)
            end = at + 9 + (high << 16 | low)
            if end > len(received):
                break
            yield kind, flags, stream, received[at + 9 : end]
            at = end
        self._received = received[at:]

    def _hear(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._take(stream, payload)
        elif kind in {_RST_STREAM, _GOAWAY} or (kind == _HEADERS and flags & _END_STREAM):
            raise EOFError(f"the server ended a stream: {kind} {flags} {payload!r}")
        elif kind in {_SETTINGS, _PING} and not flags & _ACK:
            self.sock.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))

    def _take(self, stream: int, payload: bytes) -> None:
        body = self._bodies[stream] + payload
        while len(body) >= 5 and len(body) >= 5 + (length := int.from_bytes(body[1:5], "big")):
            body = body[5 + length :]
            self._asking.got(self._counts[stream])
            self._counts[stream] += 1
        self._bodies[stream] = body


def _ask(address: str, path: str, *, streams: int, connections: int) -> None:
    host, _, port = address.rpartition(":")
    request = messages.GetDestination(path=path).SerializeToString()
    request = struct.pack(">BI", 0, len(request)) + request
    asking, head = Asking(streams), _head()
    links = [Link((host, int(port)), asking) for _ in range(connections)]
    for number in range(streams):
        links[number % connections].ask(head, request)
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link.sock, selectors.EVENT_READ, link)
        while True:
            for key, _ in selector.select():
                key.data.read()


def main(words: Sequence[str]) -> None:
    """Until killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    address, path, streams, connections = words
    _ask(address, path, streams=int(streams), connections=int(connections))


if __name__ == "__main__":
    main(sys.argv[1:])
