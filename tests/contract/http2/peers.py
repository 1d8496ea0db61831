"""The other end of an HTTP/2 connection under test: `h2` where it follows the rules, hand-made frames where
it does not.
"""

import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from h2.settings import SettingCodes
from hpack import Encoder

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ClientDoor, ServerDoor
from linkerd2_py._ext.io.loop import Loop
from tests.support.wait import patience

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")]
POST = [(":method", "POST"), *REQUEST[1:]]

(
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
) = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame, well-formed or not (RFC 9113 section 4.1)."""
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def headers_frame(
    stream: int,
    fields: Sequence[tuple[str, str]] | None = None,
    *,
    end: bool = True,
    encoder: Encoder | None = None,
) -> bytes:
    block = (encoder or Encoder()).encode(fields or REQUEST, huffman=False)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


class Scene:
    """One loop, and everybody who talks through it."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.peers: list[Any] = []
        self.doors: list[ServerDoor | ClientDoor] = []

    def until(
        self, condition: Callable[[], object], *, what: str = "", timeout_s: float = 5.0
    ) -> None:
        """Drives loop and peers until `condition()`; AssertionError naming `what` after `timeout_s`."""
        end = time.monotonic() + timeout_s * patience()
        while not condition():
            assert time.monotonic() < end, what or "not in time"
            waiting = [self.loop.fileno(), *(p.sock for p in self.peers if not p.closed)]
            select.select(waiting, [], [], 0.05)
            self.turn()

    def turn(self) -> None:
        self.loop.drain()
        for peer in self.peers:
            peer.step()

    def settle(self) -> None:
        """Until nothing moves: what was sent has been dealt with, and so have the answers."""
        quiet = 0
        while quiet < 3:
            waiting = [self.loop.fileno(), *(p.sock for p in self.peers if not p.closed)]
            ready = select.select(waiting, [], [], 0.005)[0]
            quiet = 0 if ready else quiet + 1
            self.turn()

    def sockets(self, *, buffer: int | None = None) -> tuple[int, socket.socket]:
        """(descriptor for a door, socket for a peer) of one loopback connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.socket()
            if buffer:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            theirs.connect(listener.getsockname())
            ours, _ = listener.accept()
        ours.setblocking(False)
        if buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        theirs.setblocking(False)
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ours.detach(), theirs

    def server(
        self, on_event: Any = None, *, buffer: int | None = None, **limits: int
    ) -> tuple[ServerDoor, "H2Peer"]:
        """Our server and an `h2` client."""
        fd, sock = self.sockets(buffer=buffer)
        peer = H2Peer(sock, client=True)
        self.peers.append(peer)
        door = ServerDoor(self.loop, fd, Limits(**limits), on_event)
        self.doors.append(door)
        return door, peer

    def raw_server(
        self,
        on_event: Any = None,
        *,
        buffer: int | None = None,
        proven: bool = False,
        **limits: int,
    ) -> tuple[ServerDoor, "RawPeer"]:
        """Our server and a client made of frames, past the preface and SETTINGS."""
        opening = PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK)
        return self.fresh_server(opening, on_event, buffer=buffer, proven=proven, **limits)

    def fresh_server(
        self,
        wire: bytes,
        on_event: Any = None,
        *,
        buffer: int | None = None,
        proven: bool = False,
        **limits: int,
    ) -> tuple[ServerDoor, "RawPeer"]:
        """Our server and a client whose first bytes are `wire`."""
        fd, sock = self.sockets(buffer=buffer)
        peer = RawPeer(sock)
        self.peers.append(peer)
        door = ServerDoor(self.loop, fd, Limits(**limits), on_event, proven=proven)
        self.doors.append(door)
        peer.send(wire)
        return door, peer

    def client(
        self,
        *,
        settings: dict[int, int] | None = None,
        keepalive: bool = False,
        in_pod: bool = False,
        on_room: Any = None,
        buffer: int | None = None,
        **limits: int,
    ) -> tuple[ClientDoor, "H2Peer"]:
        """Our client and an `h2` server."""
        fd, sock = self.sockets(buffer=buffer)
        door = ClientDoor(
            self.loop, fd, Limits(**limits), keepalive=keepalive, in_pod=in_pod, on_room=on_room
        )
        self.doors.append(door)
        peer = H2Peer(sock, client=False, settings=settings)
        self.peers.append(peer)
        return door, peer

    def raw_client(
        self, *, settings: bool = True, in_pod: bool = False, **limits: int
    ) -> tuple[ClientDoor, "RawPeer"]:
        """Our client and a server made of frames, past SETTINGS unless it is to say them itself."""
        fd, sock = self.sockets()
        peer = RawPeer(sock)
        self.peers.append(peer)
        door = ClientDoor(self.loop, fd, Limits(**limits), in_pod=in_pod)
        self.doors.append(door)
        if settings:
            peer.send(frame(SETTINGS) + frame(SETTINGS, ACK))
        peer.skip = len(PREFACE)
        return door, peer

    def close(self) -> None:
        for door in self.doors:
            door.shut()
        for peer in self.peers:
            peer.sock.close()
        # The test item refers to the scene until long after the look for leaks.
        self.doors.clear()
        self.peers.clear()
        self.loop.close()


class _Peer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.closed = False
        self.reset_seen = False
        self.unsent = b""
        self.reading = True

    def receive(self) -> bytes:
        """What is there; marks the end of the connection."""
        pieces = []
        while self.reading and not self.closed:
            try:
                piece = self.sock.recv(65536)
            except BlockingIOError:
                break
            except (ConnectionResetError, BrokenPipeError):
                self.closed = self.reset_seen = True
                break
            if not piece:
                self.closed = True
                break
            pieces.append(piece)
        return b"".join(pieces)

    def send(self, wire: bytes) -> None:
        self.unsent += wire
        self.push()

    def push(self) -> None:
        while self.unsent and not self.closed:
            try:
                sent = self.sock.send(self.unsent)
            except BlockingIOError:
                return
            except (ConnectionResetError, BrokenPipeError):
                self.unsent = b""
                return
            self.unsent = self.unsent[sent:]


class H2Peer(_Peer):
    """`h2` on a socket: an independent reading of the RFC."""

    def __init__(
        self, sock: socket.socket, *, client: bool, settings: dict[int, int] | None = None
    ) -> None:
        super().__init__(sock)
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.events: list[h2.events.Event] = []
        self.error: Exception | None = None
        self.auto_credit = True
        self.bodies: dict[int, bytes] = {}
        if settings:
            # `update` would only announce them once acknowledged.
            self.h2.local_settings = h2.settings.Settings(
                client=client,
                initial_values={SettingCodes(code): value for code, value in settings.items()},
            )
        self.h2.initiate_connection()
        self.flush()

    def step(self) -> None:
        self.push()
        wire = self.receive()
        if not wire or self.error:
            return
        try:
            events = self.h2.receive_data(wire)
        except h2.exceptions.ProtocolError as error:
            self.error = error
            self.flush()
            return
        for event in events:
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                if self.auto_credit and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()

    def flush(self) -> None:
        self.send(self.h2.data_to_send())

    def of(self, kind: type, stream: int | None = None) -> list[Any]:
        return [
            e
            for e in self.events
            if isinstance(e, kind) and (stream is None or getattr(e, "stream_id", None) == stream)
        ]

    def request(self, fields: list[tuple[str, str]] | None = None, *, end: bool = True) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields or REQUEST, end_stream=end)
        self.flush()
        return stream

    def respond(
        self, stream: int, fields: list[tuple[str, str]] | None = None, *, end: bool = False
    ) -> None:
        self.h2.send_headers(stream, fields or [(":status", "200")], end_stream=end)
        self.flush()

    def body(self, stream: int, chunk: bytes, *, end: bool = False, pad: int | None = None) -> None:
        self.h2.send_data(stream, chunk, end_stream=end, pad_length=pad)
        self.flush()

    def status(self, stream: int) -> str | None:
        for event in self.of(h2.events.ResponseReceived, stream):
            return str(dict(event.headers)[":status"])
        return None

    def ended(self, stream: int) -> bool:
        return bool(self.of(h2.events.StreamEnded, stream))

    def reset_code(self, stream: int) -> int | None:
        for event in self.of(h2.events.StreamReset, stream):
            return int(event.error_code)
        return None


class RawPeer(_Peer):
    """Sends any bytes; takes answers apart into (type, flags, stream, payload)."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.skip = 0
        self._rest = b""

    def step(self) -> None:
        self.push()
        self._rest += self.receive()
        if self.skip:
            self._rest, self.skip = self._rest[self.skip :], max(0, self.skip - len(self._rest))
        while len(self._rest) >= 9:
            length = int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < 9 + length:
                return
            head, payload = self._rest[:9], self._rest[9 : 9 + length]
            self._rest = self._rest[9 + length :]
            self.frames.append((head[3], head[4], int.from_bytes(head[5:9], "big"), payload))

    def of(self, kind: int, stream: int | None = None) -> list[tuple[int, int, int, bytes]]:
        return [f for f in self.frames if f[0] == kind and (stream is None or f[2] == stream)]

    def reset_code(self, stream: int) -> int | None:
        for _, _, _, payload in self.of(RST_STREAM, stream):
            return int.from_bytes(payload, "big")
        return None

    @property
    def goaway(self) -> tuple[int, int] | None:
        """(last stream, code) of the last GOAWAY."""
        for _, _, _, payload in reversed(self.of(GOAWAY)):
            return int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")
        return None
