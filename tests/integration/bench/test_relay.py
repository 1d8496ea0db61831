"""The relay of the benchmarks between sockets that are played by hand."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.native import (
    Address,
    body,
    compile_program,
    end,
    next_line,
    parsed,
    refusal,
)
from tests.support.processes import Child
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.wait import eventually, patience

MIB = 1 << 20
# The kernel may drop what a reader that stops has no room for, and send it again only after a while.
PATIENCE_S = 40

Start = Callable[..., tuple[Child, Address]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program("relay", tmp_path_factory.mktemp("relay"))


@pytest.fixture(scope="module")
def plain_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without sanitizers, whose own memory would hide the program's."""
    return compile_program("relay", tmp_path_factory.mktemp("relay"), sanitized=False)


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[Start]:
    """Start relays; at the end each must stop cleanly, also in the eyes of the sanitizers."""
    started: list[Child] = []
    numbers = itertools.count()

    def begin(server: Address, *arguments: str, path: Path = program) -> tuple[Child, Address]:
        words: list[str | Path] = [
            path,
            "--listen",
            "127.0.0.1:0",
            "--server",
            f"{server[0]}:{server[1]}",
        ]
        log = tmp_path / f"relay-{next(numbers)}.log"
        child = Child.start([*words, *arguments], log=log)
        started.append(child)
        return child, parsed(next_line(child, 0)["address"])

    try:
        yield begin
        for child in started:
            if child.process.poll() is None:
                end(child)
    finally:
        for child in started:
            child.kill()


@pytest.fixture
def server() -> Iterator[RawListener]:
    with RawListener() as listener:
        yield listener


each_mode = pytest.mark.parametrize("mode", ["copy", "splice"])


def test_help_names_every_option(program: Path, tmp_path: Path) -> None:
    with Child.start([program, "--help"], log=tmp_path / "help.log") as child:
        assert child.wait() == 0
        for option in ("mode", "listen", "server", "buffer", "spin-us"):
            assert f"--{option}" in child.output()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "--mode, --listen and --server are needed"),
        ("--mode teleport", "not 'teleport'"),
        ("--mode copy --listen 127.0.0.1:0 --server here", "'here' is not an address"),
        ("--mode copy --listen 127.0.0.1:0", "--server are needed"),
        ("--mode copy --buffer 0", "--buffer takes a whole number from 1"),
        ("--mode copy more", "'more' is not an option"),
    ],
)
def test_refuses_bad_arguments_in_one_line(program: Path, arguments: str, words: str) -> None:
    assert words in refusal(program, *arguments.split())


@pytest.mark.parametrize("arguments", [(), ("--buffer", "1"), ("--spin-us", "200")])
@each_mode
def test_passes_every_byte_both_ways(
    start: Start, server: RawListener, mode: str, arguments: tuple[str, ...]
) -> None:
    child, address = start(server.address, "--mode", mode, *arguments)
    with RawConnection.connect(address) as client, server.accept() as peer:
        for size in (1, 100, 5000):
            client.send(body(size))
            assert peer.receive(size) == body(size)
            peer.send(body(size)[::-1])
            assert client.receive(size) == body(size)[::-1]
    assert end(child) == {
        "connections": 1,
        "to_server_bytes": 5101,
        "to_client_bytes": 5101,
    }


@each_mode
def test_gives_each_client_a_server_connection_of_its_own(
    start: Start, server: RawListener, mode: str
) -> None:
    child, address = start(server.address, "--mode", mode)
    with ExitStack() as stack:
        pairs = []
        for number in range(100):
            client = stack.enter_context(RawConnection.connect(address))
            pairs.append((client, stack.enter_context(server.accept()), b"%03d" % number))
        for client, _, name in pairs:
            client.send(name)
        for _, peer, name in reversed(pairs):
            assert peer.receive(3) == name
            peer.send(name[::-1])
        for client, _, name in pairs:
            assert client.receive(3) == name[::-1]
        # Stops with all of them open.
        assert end(child)["connections"] == 100


@each_mode
def test_passes_on_the_end_of_either_direction_alone(
    start: Start, server: RawListener, mode: str
) -> None:
    _, address = start(server.address, "--mode", mode)
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.send(b"last words")
        client.half_close()
        assert peer.receive_to_end() == (b"last words", End.FIN)
        peer.send(b"still talking")
        assert client.receive(13) == b"still talking"
        peer.half_close()
        assert client.receive_to_end() == (b"", End.FIN)
    with RawConnection.connect(address) as client, server.accept() as peer:
        peer.send(b"bye")
        peer.half_close()
        assert client.receive_to_end() == (b"bye", End.FIN)
        client.send(body(3 * MIB)[: 2 * MIB])
        client.half_close()
        assert peer.receive_to_end() == (body(3 * MIB)[: 2 * MIB], End.FIN)


@each_mode
def test_closes_both_sockets_when_both_directions_have_ended(
    start: Start, server: RawListener, mode: str
) -> None:
    child, address = start(server.address, "--mode", mode)

    def sockets() -> int:
        return len(psutil.Process(child.pid).net_connections())

    listening = sockets()
    for _ in range(5):
        with RawConnection.connect(address) as client, server.accept() as peer:
            client.send(b"x")
            assert peer.receive(1) == b"x"
            client.half_close()
            peer.half_close()
            assert client.receive_to_end() == (b"", End.FIN)
    eventually(lambda: sockets() == listening, what="the relay closes its sockets")


@each_mode
def test_passes_on_a_reset(start: Start, server: RawListener, mode: str) -> None:
    _, address = start(server.address, "--mode", mode)
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.send(b"x")
        assert peer.receive(1) == b"x"
        peer.reset()
        assert client.receive_to_end() == (b"", End.RESET)
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.send(b"x")
        assert peer.receive(1) == b"x"
        client.reset()
        assert peer.receive_to_end() == (b"", End.RESET)


@each_mode
def test_a_server_that_refuses_is_seen_as_a_reset(start: Start, mode: str) -> None:
    with RawListener() as gone:
        address_of_nobody = gone.address
    _, address = start(address_of_nobody, "--mode", mode)
    for _ in range(3):
        # It may come before the client has its connection.
        with suppress(ConnectionResetError), RawConnection.connect(address) as client:
            assert client.receive_to_end() == (b"", End.RESET)


def send_all(side: RawConnection, wire: bytes) -> threading.Thread:
    """Send everything and then the end, from a thread that survives a peer that is gone."""

    def send() -> None:
        with suppress(OSError):
            side.send(wire)
            side.half_close()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def received(side: RawConnection, size: int) -> bytes:
    """What comes before the end, which is to be `size` bytes."""
    wire = bytearray(size + 1)
    room, at = memoryview(wire), 0
    while count := side.sock.recv_into(room[at:]):
        at += count
    return bytes(room[:at])


def stalled(process: psutil.Process) -> bool:
    """Whether it has not been woken for a while."""
    before = process.num_ctx_switches().voluntary
    with suppress(psutil.TimeoutExpired):
        process.wait(0.2)
    return (
        process.num_ctx_switches().voluntary == before
        and process.status() == psutil.STATUS_SLEEPING
    )


@each_mode
def test_a_reader_that_stops_stops_the_sender_and_loses_nothing(
    start: Start, server: RawListener, plain_program: Path, mode: str
) -> None:
    period = 26 * 26
    wire = (body(period) * (32 * MIB // period + 1))[: 32 * MIB]
    child, address = start(server.address, "--mode", mode, path=plain_program)
    process = psutil.Process(child.pid)
    idle = process.memory_info().rss
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.sock.settimeout(PATIENCE_S * patience())
        peer.sock.settimeout(PATIENCE_S * patience())
        senders = [send_all(side, wire) for side in (client, peer)]
        try:
            eventually(lambda: stalled(process), what="the relay stops reading")
            assert all(sender.is_alive() for sender in senders)
            assert process.memory_info().rss - idle < 4 * MIB
            # At once: for one that is not read, the kernel's own retries become rarer and rarer.
            with ThreadPoolExecutor(2) as readers:
                results = [readers.submit(received, side, len(wire)) for side in (client, peer)]
                assert [result.result() == wire for result in results] == [True, True]
            assert process.memory_info().rss - idle < 4 * MIB
        finally:
            client.close()
            peer.close()
            for sender in senders:
                sender.join(10)


@each_mode
def test_sleeps_while_a_finished_side_waits_for_a_slow_one(
    start: Start, server: RawListener, mode: str
) -> None:
    child, address = start(server.address, "--mode", mode)
    process = psutil.Process(child.pid)
    wire = body(676) * 20_000
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.sock.settimeout(PATIENCE_S * patience())
        peer.sock.settimeout(PATIENCE_S * patience())
        peer.half_close()
        assert client.receive_to_end() == (b"", End.FIN)
        sender = send_all(client, wire)
        try:
            # At one of these steps the sender's end is in the relay's socket, behind bytes that wait.
            for at in range(0, len(wire), MIB):
                eventually(lambda: stalled(process), what="the relay sleeps")
                expected = wire[at : at + MIB]
                assert peer.receive(len(expected)) == expected
            assert peer.receive_to_end() == (b"", End.FIN)
        finally:
            client.close()
            peer.close()
            sender.join(10)


def test_goes_on_after_a_signal_that_it_does_not_know(start: Start, server: RawListener) -> None:
    child, address = start(server.address, "--mode", "copy")
    child.send(signal.SIGUSR1)
    with RawConnection.connect(address) as client, server.accept() as peer:
        client.send(b"x")
        assert peer.receive(1) == b"x"
