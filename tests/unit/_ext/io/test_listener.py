"""Listeners: addresses, options handed down, transports nobody takes, ending."""

import errno
import os
import socket

import pytest

from linkerd2_py._ext.io.address import Address, SocketOptions
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.testing import AcceptWith, EchoSession, RecorderSession
from linkerd2_py._ext.metrics.tcp import TcpMetrics
from tests.support.raw_socket import End, RawConnection


def test_the_address_tells_the_port_the_kernel_chose(loop):
    listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
    assert listener.address.host == "127.0.0.1"
    assert listener.address.port > 0
    listener.close()
    listener.close()


def test_accepted_connections_get_their_session_and_outlive_the_listener(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), accepting, metrics=TcpMetrics())
    with RawConnection.connect((listener.address.host, listener.address.port)) as peer:
        peer.send(b"hello")
        assert loop.run_until(lambda: accepting.sessions)
        listener.close()
        session = accepting.sessions[0]
        assert loop.run_until(lambda: session.received == b"hello")
        session.close()
    assert listener.accepted == 1


def test_a_closed_listener_refuses(loop):
    listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
    address = (listener.address.host, listener.address.port)
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_more_connections_than_one_batch_are_all_accepted(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), accepting)
    address = (listener.address.host, listener.address.port)
    peers = [socket.create_connection(address) for _ in range(150)]
    assert loop.run_until(lambda: len(accepting.sessions) == 150)
    for session in accepting.sessions:
        session.abort()
    for peer in peers:
        peer.close()
    listener.close()


def test_a_connection_that_nobody_takes_is_reset(loop):
    listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(lambda: None))
    with RawConnection.connect((listener.address.host, listener.address.port)) as peer:
        assert loop.run_until(lambda: listener.accepted)
        assert peer.receive_to_end()[1] is End.RESET
    listener.close()


def test_a_failing_taker_loses_its_connection_not_the_listener(loop, failures):
    accepting = AcceptWith(lambda: 1 / 0)
    listener = Listener(loop, ("127.0.0.1", 0), accepting)
    address = (listener.address.host, listener.address.port)
    with RawConnection.connect(address) as peer:
        assert loop.run_until(lambda: failures)
        assert peer.receive_to_end()[1] is End.RESET
    failures.clear()
    accepting.factory = EchoSession
    with RawConnection.connect(address) as peer:
        peer.send(b"echo")
        assert loop.run_until(lambda: listener.accepted == 2)
        loop.run_until(lambda: False, 0.01)
        assert peer.receive(4) == b"echo"
    listener.close()


def test_a_listener_may_be_closed_while_it_accepts(loop):
    def close_and_take() -> RecorderSession:
        listener.close()
        return RecorderSession()

    accepting = AcceptWith(close_and_take)
    listener = Listener(loop, ("127.0.0.1", 0), accepting)
    address = (listener.address.host, listener.address.port)
    peers = [socket.create_connection(address) for _ in range(3)]
    assert loop.run_until(lambda: accepting.sessions)
    assert len(accepting.sessions) == 3
    for session in accepting.sessions:
        session.abort()
    for peer in peers:
        peer.close()


def test_options_are_handed_down_to_accepted_sockets(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(
        loop, ("127.0.0.1", 0), accepting, SocketOptions(keepalive_s=9, user_timeout_ms=4321)
    )
    with RawConnection.connect((listener.address.host, listener.address.port)):
        assert loop.run_until(lambda: accepting.sessions)
        (session,) = accepting.sessions
        fd = session.hold().state()["fd"]
        with socket.socket(fileno=os.dup(fd)) as probe:
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert probe.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 9
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 4321
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)
        session.abort()
    listener.close()


def test_the_ipv6_wildcard_takes_ipv4_too(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, Address("::", 0), accepting)
    with (
        RawConnection.connect(("127.0.0.1", listener.address.port)),
        RawConnection.connect(("::1", listener.address.port)),
    ):
        assert loop.run_until(lambda: len(accepting.sessions) == 2)
        hosts = {session.hold().peer().host for session in accepting.sessions}
        assert hosts == {"127.0.0.1", "::1"}
        for session in accepting.sessions:
            session.abort()
    listener.close()


def test_a_bound_descriptor_can_be_handed_over(loop):
    bound = socket.socket()
    bound.setblocking(False)
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    listener = Listener(loop, bound.detach(), AcceptWith(EchoSession))
    assert listener.address == Address("127.0.0.1", port)
    listener.close()


def test_a_taken_port_is_an_error_that_names_it(loop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}") as error:
            Listener(loop, ("127.0.0.1", port), AcceptWith(EchoSession))
    assert error.value.errno == errno.EADDRINUSE


def test_a_descriptor_that_is_no_socket_is_an_error(loop):
    read_end, write_end = os.pipe()
    os.close(write_end)
    with pytest.raises(OSError, match="cannot listen on descriptor"):
        Listener(loop, read_end, AcceptWith(EchoSession))


def test_a_listener_whose_socket_breaks_is_reported_and_ends(loop, failures):
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    copy = listening.dup()
    listener = Listener(loop, listening.detach(), AcceptWith(EchoSession))
    # shutdown(2) ends listening for every descriptor of the socket.
    copy.shutdown(socket.SHUT_RDWR)
    assert loop.run_until(lambda: failures)
    assert "cannot accept" in failures.pop()
    assert loop.stats()["sources"] == 0
    copy.close()
    listener.close()


def test_a_held_listener_lets_clients_wait_until_it_starts(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), accepting, hold=True)
    address = (listener.address.host, listener.address.port)
    with RawConnection.connect(address) as early:
        early.send(b"hello")
        # A source of its own, made after the client came: when its event has been handled, so has the
        # listener's.
        probe = AcceptWith(RecorderSession)
        other = Listener(loop, ("127.0.0.1", 0), probe)
        with RawConnection.connect((other.address.host, other.address.port)):
            assert loop.run_until(lambda: probe.sessions)
            assert not accepting.sessions
            listener.start()
            listener.start()
            assert loop.run_until(lambda: accepting.sessions)
            assert loop.run_until(lambda: accepting.sessions[0].received == b"hello")
            with RawConnection.connect(address):
                assert loop.run_until(lambda: len(accepting.sessions) == 2)
    for session in [*accepting.sessions, *probe.sessions]:
        session.abort()
    listener.close()
    other.close()


def test_a_held_listener_resets_who_waits_when_it_closes(loop):
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), accepting, hold=True)
    with RawConnection.connect((listener.address.host, listener.address.port)) as peer:
        listener.close()
        listener.start()
        assert peer.receive_to_end() == (b"", End.RESET)
    assert not accepting.sessions
    assert listener.accepted == 0
