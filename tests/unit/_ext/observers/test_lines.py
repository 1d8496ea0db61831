"""Lines to a pipe that is read, that is not, and that nobody has any more."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.observers.lines import Lines
from linkerd2_py._ext.observers.testing import LINE_MOST, put, waiting

DEADLINE_S = 20.0
LINE = b"%04d " + b"x" * 500 + b"\n"


class Pipe:
    """A pipe of 4096 bytes, as a child's stderr is one; `lines` writes there."""

    def __init__(self, loop: Loop, *, asks: bool) -> None:
        self.loop, self.told = loop, []
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.reading, False)
        os.set_blocking(self.writing, asks)
        self.registry = Registry()
        self.lines = Lines(
            loop,
            self.registry,
            fd=self.writing,
            asks=asks,
            room=3 * LINE_MOST,
            on_lost=self.told.append,
        )

    def read(self) -> bytes:
        try:
            return os.read(self.reading, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.lines.close()
        # Its timer is counted among what a test leaves behind, and fixtures outlive that count.
        del self.lines
        os.close(self.writing)
        if self.reading >= 0:
            os.close(self.reading)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with closing(Loop()) as loop:
        yield loop


@pytest.fixture(params=[True, False], ids=["a descriptor that waits", "one that does not"])
def pipe(loop: Loop, request: pytest.FixtureRequest) -> Iterator[Pipe]:
    with closing(Pipe(loop, asks=request.param)) as pipe:
        yield pipe


def test_lines_of_one_turn_are_written_at_its_end(loop: Loop, pipe: Pipe) -> None:
    for number in range(3):
        assert put(pipe.lines, LINE % number)
    assert pipe.read() == b""
    loop.drain()
    assert pipe.read() == LINE % 0 + LINE % 1 + LINE % 2
    assert waiting(pipe.lines) == 0


def test_a_pipe_that_nobody_reads_stops_nobody_and_gets_whole_lines_later(
    loop: Loop, pipe: Pipe
) -> None:
    taken = []
    for number in range(100):
        if put(pipe.lines, LINE % number):
            taken.append(number)
        loop.drain()
    assert len(taken) < 100
    assert pipe.lines.lost.value == 100 - len(taken)
    assert pipe.told == []
    got = b""

    def is_read() -> bool:
        nonlocal got
        got += pipe.read()
        return waiting(pipe.lines) == 0 and bool(pipe.told)

    assert loop.run_until(is_read, DEADLINE_S)
    got += pipe.read()
    assert got == b"".join(LINE % number for number in taken)
    assert pipe.told == [100 - len(taken)]
    # And it goes on.
    assert put(pipe.lines, LINE % 100)
    loop.drain()
    assert pipe.read() == LINE % 100


def test_a_second_loss_is_told_a_second_later(loop: Loop, pipe: Pipe) -> None:
    def lose() -> None:
        before = pipe.lines.lost.value
        while pipe.lines.lost.value == before:
            put(pipe.lines, LINE % 1)
            loop.drain()

    def is_empty() -> bool:
        return not pipe.read() and not waiting(pipe.lines)

    lose()
    assert loop.run_until(lambda: is_empty() and bool(pipe.told), DEADLINE_S)
    first = loop.now
    lose()
    assert loop.run_until(is_empty, DEADLINE_S)
    # That this loss is not told yet holds up no line.
    put(pipe.lines, LINE % 2)
    loop.drain()
    assert pipe.read() == LINE % 2
    assert loop.run_until(lambda: is_empty() and len(pipe.told) == 2, DEADLINE_S)
    assert loop.now - first > 900_000_000
    assert sum(pipe.told) == pipe.lines.lost.value


def test_lines_that_nobody_can_read_any_more_are_lost(loop: Loop, pipe: Pipe) -> None:
    os.close(pipe.reading)
    pipe.reading = -1
    for number in range(50):
        assert put(pipe.lines, LINE % number)
        loop.drain()
    assert pipe.lines.lost.value == 50
    assert pipe.told == []


def test_a_closed_one_takes_nothing(loop: Loop, pipe: Pipe) -> None:
    assert put(pipe.lines, LINE % 1)
    pipe.lines.close()
    pipe.lines.close()
    assert pipe.read() == LINE % 1
    assert not put(pipe.lines, LINE % 2)
    loop.drain()
    assert pipe.read() == b""
    assert pipe.lines.lost.value == 1


def test_a_socket_that_is_full_stops_nobody(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Lines(loop, Registry(), fd=ours.fileno(), asks=False)) as lines:
        while not lines.lost.value:
            put(lines, LINE % 1)
            loop.drain()
        theirs.setblocking(False)
        got = bytearray()

        def is_read() -> bool:
            try:
                got.extend(theirs.recv(1 << 20))
            except BlockingIOError:
                return not waiting(lines)
            return False

        assert loop.run_until(is_read, DEADLINE_S)
        assert bytes(got) == LINE % 1 * (len(got) // len(LINE % 1))


def test_a_descriptor_that_is_none_is_refused(loop: Loop) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="cannot be written to"):
        Lines(loop, Registry(), fd=writing)
    with pytest.raises(ValueError, match="room for one line"):
        Lines(loop, Registry(), fd=1, room=LINE_MOST - 1)
