"""What one call of `drain` does does not grow with how much is ready: counted, or in processor time of this
thread.
"""

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.engine import IO_URING, MS, Engine
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of, ssl_context

WAITING = 600
IN_VAIN = 1500
TRANSFERS = 24
HANDSHAKES = 32
GET = b"GET /%d HTTP/1.1\r\nHost: svc.test\r\n\r\n"


@contextlib.contextmanager
def by_hand() -> Iterator[Engine]:
    """An engine without an outer loop: a test makes its turns one by one."""
    loop = Loop(io_uring=IO_URING, busy_wait=False)
    errors: list[BaseException] = []
    loop.on_error = lambda error, actor: errors.append(error)
    settings = PoolSettings(limits=Limits(), failfast_ns=60_000 * MS)
    made = Engine(loop, Registry(), settings, errors=errors)
    try:
        yield made
    finally:
        made.close()
        loop.close()
    assert not errors


def drains(loop: Loop, *, for_s: float = 20.0) -> Iterator[float]:
    """Calls `drain` whenever the loop is ready; the processor time of each call."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        select.select([loop.fileno()], [], [], 0.02)
        began = time.thread_time()
        loop.drain()
        yield time.thread_time() - began
    raise AssertionError(f"not within {for_s} s")


@contextlib.contextmanager
def clients(address: tuple[str, int], number: int) -> Iterator[list[socket.socket]]:
    socks = [socket.create_connection(address) for _ in range(number)]
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Nothing of this thread overtakes on the loopback: each processor has a queue of its own there."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


def test_waiters_are_let_go_some_a_turn_and_in_order() -> None:
    with one_processor(), by_hand() as made:
        target, address = made.outbound()
        with (
            socket.create_server(("127.0.0.1", 0), backlog=4096) as server,
            contextlib.ExitStack() as stack,
        ):
            server.setblocking(False)
            crowd = []
            for at in range(0, WAITING, 50):
                crowd += stack.enter_context(clients(address, 50))
                for number, sock in enumerate(crowd[at:], at):
                    sock.sendall(GET % number)
                assert made.loop.run_until(lambda crowd=crowd: target.in_use == len(crowd), 20)
            target.replace([EndpointSpec(Address(*server.getsockname()))])
            known, most, accepted, newcomer = made.loop.stats()["sources"], 0, [], None
            for _spent in drains(made.loop):
                sources = made.loop.stats()["sources"]
                most, known = max(most, sources - known), sources
                with contextlib.suppress(BlockingIOError):
                    while True:
                        accepted.append(stack.enter_context(server.accept()[0]))
                if newcomer is None and 1 < len(accepted) < WAITING:
                    newcomer = stack.enter_context(clients(address, 1))[0]
                    newcomer.sendall(GET % WAITING)
                if len(accepted) == WAITING + (newcomer is not None):
                    break
            assert newcomer is not None, "all at once"
            assert most < WAITING // 3
            made.loop.run_until(lambda: False, 0.05)
            paths = [int(sock.recv(4096).split(b" ")[1][1:]) for sock in accepted]
            assert paths == list(range(WAITING + 1))


def test_those_who_waited_in_vain_are_told_some_a_turn() -> None:
    with by_hand() as made:
        target, address = made.outbound()
        with clients(address, IN_VAIN) as crowd:
            for number, sock in enumerate(crowd):
                sock.sendall(GET % number)
            assert made.loop.run_until(lambda: target.in_use == IN_VAIN, 20)
            target.reject(403, "no")
            known, most = target.in_use, 0
            for _spent in drains(made.loop):
                most, known = max(most, known - target.in_use), target.in_use
                if known == 0:
                    break
            assert most < IN_VAIN // 4 * 3
            made.loop.run_until(lambda: False, 0.05)
            assert all(sock.recv(12) == b"HTTP/1.1 403" for sock in crowd)


def pour(server: socket.socket) -> None:
    """Answers each connection without end."""

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\n")
            while True:
                sock.sendall(bytes(1 << 20))

    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def swallow(socks: list[socket.socket]) -> None:
    poll = select.poll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    with contextlib.suppress(OSError):
        while by_fd:
            for fd, _event in poll.poll(100):
                if not by_fd[fd].recv(1 << 20):
                    return


def passed(made: Engine) -> int:
    """Bytes that servers sent so far."""
    lines = [
        line for line in made.metrics().splitlines() if line.startswith("tcp_read_bytes_total{")
    ]
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if 'peer="dst"' in line)


def test_bulk_of_many_moves_a_bounded_number_of_bytes_a_turn() -> None:
    with by_hand() as made, socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        threading.Thread(target=pour, args=(server,), daemon=True).start()
        _target, address = made.outbound(server.getsockname())
        with clients(address, TRANSFERS) as socks:
            for number, sock in enumerate(socks):
                sock.sendall(GET % number)
            reader = threading.Thread(target=swallow, args=(socks,), daemon=True)
            reader.start()
            known, moved = 0, []
            for _spent in drains(made.loop):
                total = passed(made)
                moved.append(total - known)
                known = total
                if known > 400 << 20:
                    break
            # All of them at once would be 256 KiB each, twice: read on, and read again.
            assert sorted(moved)[len(moved) * 9 // 10] < TRANSFERS * (128 << 10)
            for sock in socks:
                sock.shutdown(socket.SHUT_RDWR)
            reader.join()
        server.shutdown(socket.SHUT_RDWR)


class Caller:
    """A client's handshake, step by step in this thread."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, name: str) -> None:
        self.sock = socket.create_connection(address)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def step(self) -> bytes:
        """What it says next."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def hear(self) -> None:
        self.incoming.write(self.sock.recv(65_536))


def longest(made: Engine, callers: list[Caller]) -> float:
    """The longest drain while all of them shake hands at once."""
    most = 0.0
    hellos = [caller.step() for caller in callers]
    for caller, hello in zip(callers, hellos, strict=True):
        caller.sock.sendall(hello)
    waiting = {caller.sock: caller for caller in callers}
    for spent in drains(made.loop):
        most = max(most, spent)
        for sock in select.select(list(waiting), [], [], 0)[0]:
            waiting.pop(sock).hear()
        if not waiting:
            break
    flights = [caller.step() for caller in callers]
    for caller, flight in zip(callers, flights, strict=True):
        caller.sock.sendall(flight)
    done = threading.Event()
    threading.Timer(0.3, done.set).start()
    for spent in drains(made.loop):
        most = max(most, spent)
        if done.is_set():
            break
    for caller in callers:
        caller.sock.close()
    return most


def test_handshakes_at_once_take_turns(tmp_path: Path) -> None:
    with by_hand() as made:
        address = made.inbound(("127.0.0.1", 1), identity=identity_of(mesh(), "voting"))
        context = ssl_context(
            mesh().workload("web"), anchors=mesh().anchors, folder=tmp_path, server=False
        )
        name = name_of("voting")
        alone = min(longest(made, [Caller(address, context, name)]) for _ in range(5))
        together = longest(made, [Caller(address, context, name) for _ in range(HANDSHAKES)])
        assert together < HANDSHAKES / 3 * alone
