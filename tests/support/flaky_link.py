"""A TCP relay that hurts on purpose: delays, slices, stalls, cuts, resets; otherwise it is invisible.

It runs in a thread with a loop of its own, so blocking and asyncio tests use it alike. A half-close passes
through as a half-close and a reset as a reset. Settings take effect on the next bytes that pass.
"""

import asyncio
import contextlib
import enum
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.raw_socket import abort

T = TypeVar("T")

_READ_BYTES = 65536
_ANSWER_S = 10.0


class Towards(enum.Enum):
    """A direction of travel through the link."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(slots=True)
class Weather:
    """What one direction does to bytes."""

    delay_s: float = 0.0
    slice_bytes: int = 0  # 0: as read
    gap_s: float = 0.0  # pause between slices, so that they arrive as separate reads
    cut_after: int | None = None  # end the whole connection with FIN once this many bytes passed
    reset_after: int | None = None  # the same with RST


@dataclass(slots=True, eq=False)
class _Pair:
    """One connection through the link: both sockets and the bytes that passed."""

    client: socket.socket
    server: socket.socket
    passed: dict[Towards, int] = field(default_factory=lambda: dict.fromkeys(Towards, 0))
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class FlakyLink:
    """Listens on a free port, relays to `target`.

    with FlakyLink(server_address) as link:
        link.weather[Towards.CLIENT].slice_bytes = 1
        connect(link.address)
        link.reset()
    """

    def __init__(self, target: tuple[str, int], *, host: str = "127.0.0.1") -> None:
        self.target = target
        self.weather = {direction: Weather() for direction in Towards}
        self.accepted = 0
        self._host = host
        self._pairs: set[_Pair] = set()
        self._gate = asyncio.Event()
        self._gate.set()
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="flaky-link")
        self._thread.start()
        self.address: tuple[str, int] = self._call(self._open(port=0))

    # Controls: each returns when it has happened.

    def cut(self) -> int:
        """End every connection with FIN on both sides; how many there were."""
        return self._call(self._end_all(hard=False))

    def reset(self) -> int:
        """End every connection with RST on both sides; how many there were."""
        return self._call(self._end_all(hard=True))

    def stall(self) -> None:
        """Read nothing more in either direction (buffers fill up) until `resume`."""
        self._call(self._set_gate(is_open=False))

    def resume(self) -> None:
        self._call(self._set_gate(is_open=True))

    def refuse(self) -> None:
        """Stop listening: new connections are refused; existing ones stay."""
        self._call(self._close_listener())

    def accept_again(self) -> None:
        """Listen on the same port again after `refuse`."""
        self._call(self._open(port=self.address[1]))

    def connections(self) -> int:
        """How many connections pass through the link now."""
        return len(self._pairs)

    def close(self) -> None:
        """End everything; idempotent."""
        if self._loop.is_closed():
            return
        self._call(self._end_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Everything below runs in the link's own loop.

    def _call(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(_ANSWER_S)

    async def _open(self, *, port: int) -> tuple[str, int]:
        listener = socket.create_server((self._host, port), backlog=512)
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener, self._accept, listener)
        host, bound = listener.getsockname()[:2]
        return host, bound

    def _spawn(self, step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(step, name="flaky-link")

    async def _set_gate(self, *, is_open: bool) -> None:
        if is_open:
            self._gate.set()
        else:
            self._gate.clear()

    async def _close_listener(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        """On a readable listener. A plain callback, because a cancelled sock_accept can lose its socket."""
        with contextlib.suppress(BlockingIOError):
            client, _ = listener.accept()
            self.accepted += 1
            server = socket.socket()
            for sock in (client, server):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, server)
            self._pairs.add(pair)
            pair.tasks.append(self._spawn(self._join(pair)))

    async def _join(self, pair: _Pair) -> None:
        """Connect to the target and relay both directions until both have ended."""
        try:
            await self._loop.sock_connect(pair.server, self.target)
        except OSError:
            self._end(pair, hard=True)
            return
        ways = [
            self._spawn(self._relay(pair, pair.client, pair.server, Towards.SERVER)),
            self._spawn(self._relay(pair, pair.server, pair.client, Towards.CLIENT)),
        ]
        pair.tasks.extend(ways)
        await asyncio.wait(ways)
        self._end(pair, hard=False)

    async def _relay(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, direction: Towards
    ) -> None:
        """One direction, until its clean end, which passes on; an abrupt one ends the pair."""
        try:
            while True:
                await self._gate.wait()
                piece = await self._loop.sock_recv(source, _READ_BYTES)
                await self._gate.wait()
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                await self._pass_on(pair, sink, piece, direction)
        except OSError:
            self._end(pair, hard=True)

    async def _pass_on(
        self, pair: _Pair, sink: socket.socket, piece: bytes, direction: Towards
    ) -> None:
        weather = self.weather[direction]
        if weather.delay_s:
            await asyncio.sleep(weather.delay_s)
        limit, hard = _limit(weather)
        room = len(piece) if limit is None else max(0, limit - pair.passed[direction])
        piece, over = piece[:room], len(piece) >= room and limit is not None
        step = weather.slice_bytes or len(piece) or 1
        for start in range(0, len(piece), step):
            await self._loop.sock_sendall(sink, piece[start : start + step])
            if weather.slice_bytes:
                await asyncio.sleep(weather.gap_s)
        pair.passed[direction] += len(piece)
        if over:
            self._end(pair, hard=hard)

    async def _end_everything(self) -> None:
        await self._close_listener()
        await self._end_all(hard=True)
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(rest)

    async def _end_all(self, *, hard: bool) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair, hard=hard)
        return len(pairs)

    def _end(self, pair: _Pair, *, hard: bool) -> None:
        """Close both sockets now and cancel whatever waits for them; idempotent."""
        if pair not in self._pairs:
            return
        self._pairs.discard(pair)
        for sock in (pair.client, pair.server):
            # Before the close: afterwards the number may already belong to another socket.
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            if hard:
                abort(sock)
                continue
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for task in pair.tasks:
            task.cancel()


def _limit(weather: Weather) -> tuple[int | None, bool]:
    """How many bytes may pass, and whether the end after them is a reset."""
    if weather.reset_after is not None:
        return weather.reset_after, True
    return weather.cut_after, False
