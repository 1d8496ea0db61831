"""Connects over real sockets: what the session hears, when, and how often."""

import errno
import os
import resource
import socket

import pytest

from linkerd2_py._ext.io.address import Address, SocketOptions
from linkerd2_py._ext.io.testing import RecorderSession, connect_socket, connect_to
from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry
from tests.support.raw_socket import End, RawListener


def connected(loop, address, **kwargs):
    session = RecorderSession()
    connect_to(loop, address, session, **kwargs)
    assert session.events == []
    assert loop.run_until(lambda: session.events)
    return session


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connect_tells_connected_and_bytes_flow(loop, host):
    with socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as server:
        address = Address(host, server.getsockname()[1])
        session = connected(loop, address)
        peer, _ = server.accept()
        with peer:
            assert session.events == [("connected",)]
            session.send(b"hi")
            assert peer.recv(2) == b"hi"
            held = session.hold()
            assert held.peer() == address
            assert (held.local().host, held.local().port) == peer.getpeername()[:2]
            session.close()


def test_bytes_of_a_server_that_speaks_first_follow_connected(loop):
    with RawListener() as server:
        session = RecorderSession()
        connect_to(loop, Address(*server.address), session)
        with server.accept() as peer:
            peer.send(b"220 ready")
            assert loop.run_until(lambda: session.received == b"220 ready")
            assert session.names()[0] == "connected"
            session.abort()


def test_what_was_sent_while_connecting_leaves_when_connected(loop):
    with RawListener() as server:
        session = RecorderSession()
        connect_to(loop, Address(*server.address), session)
        session.send(b"early")
        session.shutdown_write()
        assert loop.run_until(lambda: "connected" in session.names())
        with server.accept() as peer:
            assert peer.receive_to_end() == (b"early", End.FIN)
        assert loop.run_until(lambda: "read_eof" in session.names())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connect_is_told_once_and_the_transport_is_dead(loop):
    session = connected(loop, Address("127.0.0.1", free_port()))
    assert session.events == [("connect_failed", "refused", errno.ECONNREFUSED)]
    assert not session.attached


def test_an_unreachable_connect_fails_from_the_loop(loop):
    # 255.255.255.255 is refused by the kernel before a packet leaves.
    session = connected(loop, Address("255.255.255.255", 80))
    assert session.names() == ["connect_failed"]
    assert session.events[0][1] == "unreachable"


def test_a_connect_that_hangs_times_out(loop):
    # A listener whose backlog is full drops further handshakes.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
            fillers.append(filler)
        session = connected(loop, Address(*server.getsockname()), timeout_ns=30_000_000)
        assert session.events == [("connect_failed", "connect_timeout", errno.ETIMEDOUT)]
        for filler in fillers:
            filler.close()


def test_aborting_a_connect_tells_nothing(loop):
    with RawListener() as server:
        for verb in ("abort", "close"):
            session = RecorderSession()
            connect_to(loop, Address(*server.address), session)
            getattr(session, verb)()
            assert not loop.run_until(lambda: session.events, 0.02)  # noqa: B023 - called before the next turn
    assert loop.stats()["sources"] == 0


def test_aborting_a_connect_that_already_failed_tells_nothing(loop):
    session = RecorderSession()
    connect_to(loop, Address("255.255.255.255", 80), session)
    session.abort()
    assert not loop.run_until(lambda: session.events, 0.02)


def test_a_connection_to_itself_counts_as_refused(loop):
    lonely = socket.socket()
    lonely.bind(("127.0.0.1", 0))
    lonely.setblocking(False)
    address = Address(*lonely.getsockname())
    session = RecorderSession()
    connect_socket(loop, lonely.detach(), address, session)
    assert loop.run_until(lambda: session.events)
    assert session.events == [("connect_failed", "refused", errno.ECONNREFUSED)]


def test_a_session_that_raises_in_connected_is_ended(loop, failures):
    with RawListener() as server:
        session = RecorderSession(lambda name, s: name == "connected" and 1 / 0)
        connect_to(loop, Address(*server.address), session)
        assert loop.run_until(lambda: failures)
        with server.accept() as peer:
            assert peer.receive_to_end()[1] is End.RESET
    failures.clear()


def test_socket_options_are_set(loop):
    with RawListener() as server:
        options = SocketOptions(keepalive_s=7, user_timeout_ms=1234)
        session = connected(loop, Address(*server.address), options=options)
        probe = socket.socket(fileno=os.dup(session.hold().state()["fd"]))
        with probe:
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert probe.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1234
            assert not os.get_inheritable(session.hold().state()["fd"])
        session.abort()


# -- sockets that do not come to connecting


def test_without_a_descriptor_the_session_hears_of_it_from_the_loop(loop):
    session = RecorderSession()
    address = Address("127.0.0.1", free_port())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        connect_to(loop, address, session)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert session.events == []
    assert loop.run_until(lambda: session.events)
    assert session.events == [("connect_failed", "no_fds", errno.EMFILE)]
    assert not session.attached


def test_the_callers_own_failure_is_told_as_every_failure_is(loop):
    session = RecorderSession()
    connect_socket(loop, -errno.EMFILE, Address("127.0.0.1", free_port()), session)
    assert session.events == []
    assert loop.run_until(lambda: session.events)
    assert session.events == [("connect_failed", "no_fds", errno.EMFILE)]
    assert not session.attached


def test_a_socket_of_the_callers_that_cannot_connect_is_closed(loop):
    listening = socket.create_server(("127.0.0.1", 0))
    address = Address(*listening.getsockname())
    fd = listening.detach()
    session = RecorderSession()
    connect_socket(loop, fd, address, session)
    assert session.events == []
    assert loop.run_until(lambda: session.events)
    assert session.events == [("connect_failed", "io", errno.EISCONN)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


# -- what is counted


def test_a_connect_is_counted_once_it_is_open(loop):
    registry = Registry()
    metrics = door.tcp(registry, b"")
    refused = connected(loop, Address("127.0.0.1", free_port()), metrics=metrics)
    assert refused.names() == ["connect_failed"]
    assert b"\ntcp_open_total 1" not in b"".join(registry.render(0))
    with RawListener() as server:
        session = connected(loop, Address(*server.address), metrics=metrics)
        assert b"\ntcp_open_total 1" in b"".join(registry.render(0))
        session.abort()
