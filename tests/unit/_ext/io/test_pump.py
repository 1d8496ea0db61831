"""Pumps: all bytes, both ends' ends, one buffer a direction."""

import contextlib
import errno
import random
import socket

import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.io.testing import PumpWatch, RecorderSession
from tests.support.raw_socket import End
from tests.support.wait import patience

MIB = 1 << 20


@pytest.fixture
def tunnel(loop, pair):
    """`tunnel()`: a running pump between a client and a server socket."""
    watch = PumpWatch()

    def make():
        client, client_peer = pair(RecorderSession(consume=False))
        server, server_peer = pair(RecorderSession(consume=False))
        watch.start(client, server)
        return watch, client_peer, server_peer

    yield make
    watch.stop()


def exchange(loop, writer, reader, message):
    """Sends `message` as fast as it goes and gives what came out."""
    writer.sock.setblocking(False)
    reader.sock.setblocking(False)
    sent, got = 0, bytearray()

    def step() -> bool:
        nonlocal sent
        try:
            while sent < len(message):
                sent += writer.sock.send(message[sent : sent + MIB])
        except BlockingIOError:
            pass
        try:
            while piece := reader.sock.recv(MIB):
                got.extend(piece)
        except BlockingIOError:
            pass
        return len(got) >= len(message)

    assert loop.run_until(step, 20), (sent, len(got))
    writer.sock.settimeout(5 * patience())
    reader.sock.settimeout(5 * patience())
    return bytes(got)


@pytest.mark.parametrize("size", [1, 16384, 16385, 5 * MIB])
def test_bytes_go_both_ways_unchanged(loop, tunnel, size):
    watch, client, server = tunnel()
    message = random.Random(size).randbytes(size)
    assert exchange(loop, client, server, message) == message
    assert exchange(loop, server, client, message) == message
    assert watch.held_bytes() == [(0, 0)]


def test_small_pieces_pass_one_by_one(loop, tunnel):
    _, client, server = tunnel()
    for byte in b"ping pong":
        assert exchange(loop, client, server, bytes([byte])) == bytes([byte])
        assert exchange(loop, server, client, bytes([byte])) == bytes([byte])


def test_bytes_already_read_and_already_unsent_go_first(loop, pair):
    watch = PumpWatch()
    client, client_peer = pair(RecorderSession(consume=False))
    server, server_peer = pair(RecorderSession(consume=False))
    client_peer.send(b"early")
    server_peer.send(b"banner")
    assert loop.run_until(lambda: client.peek() and server.peek())
    client.send(b"200 OK ", flush=False)
    client.pause("turn")
    watch.start(client, server)
    loop.run_until(lambda: False, 0.01)
    assert server_peer.receive(5) == b"early"
    assert client_peer.receive(13) == b"200 OK banner"
    client_peer.send(b"later")
    loop.run_until(lambda: False, 0.01)
    assert server_peer.receive(5) == b"later"
    watch.stop()


def test_fin_travels_as_fin_and_the_other_direction_goes_on(loop, tunnel):
    watch, client, server = tunnel()
    client.send(b"request")
    client.half_close()
    loop.run_until(lambda: False, 0.02)
    assert server.receive_to_end() == (b"request", End.FIN)
    assert exchange(loop, server, client, b"x" * MIB) == b"x" * MIB
    assert watch.ended == []
    server.half_close()
    assert loop.run_until(lambda: watch.ended)
    assert watch.ended == [("none", 0)]
    assert client.receive_to_end() == (b"", End.FIN)
    assert loop.stats()["sources"] == 0


def test_fin_comes_behind_all_bytes_even_for_a_slow_reader(loop, tunnel):
    watch, client, server = tunnel()
    message = random.Random(4).randbytes(6 * MIB)
    client.sock.setblocking(False)
    sent = 0
    server.sock.setblocking(False)
    got = bytearray()
    ended = False

    def step() -> bool:
        nonlocal sent, ended
        try:
            while sent < len(message):
                sent += client.sock.send(message[sent:])
            if sent == len(message):
                client.sock.shutdown(socket.SHUT_WR)
                sent += 1
        except BlockingIOError:
            pass
        try:
            piece = server.sock.recv(65536)
            got.extend(piece)
            ended = not piece
        except BlockingIOError:
            pass
        return ended

    assert loop.run_until(step, 20)
    assert got == message
    assert watch.ended == []


@pytest.mark.parametrize("side", ["client", "server"])
def test_rst_travels_as_rst(loop, tunnel, side):
    watch, client, server = tunnel()
    assert exchange(loop, client, server, b"open") == b"open"
    first, second = (client, server) if side == "client" else (server, client)
    first.reset()
    assert loop.run_until(lambda: watch.ended)
    assert watch.ended == [("reset", errno.ECONNRESET)]
    assert second.receive_to_end()[1] is End.RESET
    assert loop.stats()["sources"] == 0


def test_rst_after_a_half_close_still_travels(loop, tunnel):
    watch, client, server = tunnel()
    client.half_close()
    loop.run_until(lambda: False, 0.02)
    server.reset()
    assert loop.run_until(lambda: watch.ended)
    assert watch.ended[0][0] == "reset"
    assert client.receive_to_end()[1] is End.RESET


def test_rst_of_the_sender_reaches_a_reader_that_does_not_read(loop, tunnel):
    watch, client, server = tunnel()
    client.sock.setblocking(False)

    def stuffed() -> bool:
        try:
            while client.sock.send(b"x" * MIB):
                pass
        except BlockingIOError:
            return watch.held_bytes()[0][0] > 0
        return False

    assert loop.run_until(stuffed)
    client.reset()
    assert loop.run_until(lambda: watch.ended)
    assert server.receive_to_end()[1] is End.RESET


def test_a_client_that_is_gone_ends_a_server_that_keeps_sending(loop, tunnel):
    watch, client, server = tunnel()
    client.close()
    server.sock.setblocking(False)

    def keep_sending() -> bool:
        with contextlib.suppress(BlockingIOError, ConnectionResetError, BrokenPipeError):
            server.sock.send(b"x" * 1000)
        return bool(watch.ended)

    assert loop.run_until(keep_sending)
    assert watch.ended[0][0] == "reset"


def test_a_stalled_reader_holds_one_buffer_and_stops_the_sender(loop, tunnel):
    watch, client, server = tunnel()
    client.sock.setblocking(False)
    sent = 0

    def pour() -> int:
        nonlocal sent
        try:
            while True:
                sent += client.sock.send(b"x" * MIB)
        except BlockingIOError:
            return sent

    before = -1
    while before != sent:
        before = sent
        pour()
        loop.run_until(lambda: False, 0.05)
    assert watch.held_bytes()[0][0] <= 262144
    assert watch.held_bytes()[0][1] == 0
    turns = loop.stats()["turns"]
    loop.run_until(lambda: False, 0.05)
    assert loop.stats()["turns"] - turns <= 2
    server.sock.setblocking(False)
    got = 0

    def take() -> bool:
        nonlocal got
        try:
            while piece := server.sock.recv(MIB):
                got += len(piece)
        except BlockingIOError:
            pass
        return got == sent

    assert loop.run_until(take)
    assert watch.held_bytes() == [(0, 0)]


def test_stop_resets_both_ends_without_a_word(loop, tunnel):
    watch, client, server = tunnel()
    watch.stop()
    assert client.receive_to_end()[1] is End.RESET
    assert server.receive_to_end()[1] is End.RESET
    assert watch.ended == []


def test_no_pump_is_left_behind(loop, tunnel):
    before = debug.counts()["pump"]
    watch, client, server = tunnel()
    client.half_close()
    server.half_close()
    assert loop.run_until(lambda: watch.ended)
    assert debug.counts()["pump"] == before
