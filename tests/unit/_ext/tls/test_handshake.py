"""Handshakes over sockets: driven by the loop, bounded by a timer, told once."""

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession
from linkerd2_py._ext.metrics import testing as counting
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.tls.testing import AcceptSecure, connect_secure, failure_of, peer_of, state_of
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.tls_socket import TlsConnection
from tests.support.wait import patience
from tests.support.workloads import MeshAuthority, name_of, ssl_context

WEB, VOTING = name_of("web"), name_of("voting")
HEADER = "transport.l5d.io/v1"
MS = 1_000_000
REFUSED = ("connect_failed", "tls", errno.EPROTO)
CLOSED = "the peer closed the connection during the handshake"


class Server:
    """Our server: who got in, who did not, and the sessions of those who did."""

    def __init__(self, loop: Loop, credentials: Callable[[], object], **options: object) -> None:
        self.sessions: list[RecorderSession] = []
        self.door = AcceptSecure(credentials, self._session, **options)
        self.listener = Listener(loop, ("127.0.0.1", 0), self.door)
        self.hook: Callable[[str, RecorderSession], object] | None = None

    @property
    def address(self) -> Address:
        return self.listener.address

    def _session(self) -> RecorderSession:
        self.sessions.append(RecorderSession(self.hook))
        return self.sessions[-1]

    def let_go(self) -> None:
        """The test holds us until it has been looked for what it left behind."""
        self.listener.close()
        self.sessions.clear()
        del self.listener, self.door, self.hook

    def reach(self) -> RawConnection:
        return RawConnection.connect(("127.0.0.1", self.address.port))


@pytest.fixture
def serve(loop, voting) -> Iterator[Callable[..., Server]]:
    """`serve()`: a server of ours, with credentials of the moment."""
    made: list[Server] = []

    def make(credentials: Callable[[], object] = lambda: voting, **options: object) -> Server:
        made.append(Server(loop, credentials, **options))
        return made[-1]

    yield make
    for one in made:
        one.let_go()


@pytest.fixture
def server(serve) -> Server:
    return serve()


def call(loop, address, credentials, **options) -> RecorderSession:
    """Our client; it has been told of its connect's end."""
    session = RecorderSession()
    named = {"server_name": VOTING, **options}
    connect_secure(loop, address, session, credentials=credentials, **named)
    assert session.events == []
    assert loop.run_until(lambda: session.events)
    return session


# -- both ends ours


def test_both_ends_learn_who_the_other_is(loop, server, web):
    client = call(loop, server.address, web)
    assert client.events == [("connected",)]
    assert loop.run_until(lambda: server.sessions)
    assert peer_of(client) == (VOTING, False)
    assert peer_of(server.sessions[0]) == (WEB, False)
    assert server.door.secured == [(WEB, False)]
    assert failure_of(client) is None
    client.abort()
    assert loop.run_until(lambda: not server.sessions[0].attached)


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("takes", [True, False])
def test_both_ends_know_whether_a_header_follows(loop, serve, web, offers, takes):
    server = serve(takes_header=takes)
    client = call(loop, server.address, web, header=offers)
    assert loop.run_until(lambda: server.sessions)
    assert peer_of(client)[1] is peer_of(server.sessions[0])[1] is (offers and takes)
    client.abort()
    assert loop.run_until(lambda: not server.sessions[0].attached)


def test_a_server_with_another_name_is_not_connected_to(loop, server, web):
    client = call(loop, server.address, web, expected=name_of("emoji"))
    assert client.events == [REFUSED]
    assert not client.attached
    assert loop.run_until(lambda: server.door.refused)
    [(kind, failure)] = server.door.refused
    assert kind == "TLS failed"
    assert "alert" in failure
    assert loop.stats()["sources"] == 1


def test_a_server_of_another_mesh_is_not_connected_to(loop, server):
    client = call(loop, server.address, MeshAuthority().credentials("web"))
    assert client.events == [REFUSED]
    assert loop.run_until(lambda: server.door.refused)


def test_a_client_of_another_mesh_learns_with_its_first_read_that_it_is_refused(loop, server, mesh):
    other = MeshAuthority()
    stranger = other.workload("web").credentials(anchors=other.anchors + mesh.anchors)
    client = call(loop, server.address, stranger)
    assert client.events[0] == ("connected",)
    assert loop.run_until(lambda: not client.attached)
    assert client.names() == ["connected", "fault"]
    assert server.sessions == []
    [(kind, failure)] = server.door.refused
    assert kind == "TLS failed"
    assert failure == "certificate signature failure"


def test_new_credentials_are_for_new_connections_and_old_ones_go_on(loop, serve, mesh, web):
    at_hand = [mesh.credentials("voting")]
    server = serve(lambda: at_hand[0])
    old = call(loop, server.address, web)
    other = MeshAuthority()
    at_hand[0] = other.credentials("voting", anchors=other.anchors + mesh.anchors)
    assert call(loop, server.address, web).events == [REFUSED]
    both = mesh.credentials("web", anchors=mesh.anchors + other.anchors)
    new = call(loop, server.address, both)
    assert new.events == [("connected",)]
    for client in (old, new):
        client.send(b"hello")
    assert loop.run_until(lambda: [s.received for s in server.sessions] == [b"hello"] * 2)
    for client in (old, new):
        client.abort()
    assert loop.run_until(lambda: loop.stats()["sources"] == 1)


# -- strangers, as clients


def knock(loop: Loop, server: Server, context: ssl.SSLContext) -> TlsConnection:
    """A client of Python's that has shaken hands as far as it goes."""
    context.check_hostname = False
    peer = TlsConnection.over(server.reach().sock, context, server_name=VOTING)
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert loop.run_until(peer.sock.shake)
    return peer


def test_a_client_without_a_certificate_is_served_as_nobody(loop, server, mesh, tmp_path):
    context = ssl_context(None, anchors=mesh.anchors, folder=tmp_path, server=False)
    with knock(loop, server, context) as peer:
        assert loop.run_until(lambda: server.door.secured)
        assert server.door.secured == [(None, False)]
        peer.send(b"hello")
        assert loop.run_until(lambda: server.sessions[0].received == b"hello")


def test_an_expired_client_is_refused_and_told_so(loop, server, mesh, tmp_path):
    expired = mesh.workload("web", lifetime_s=1, starts=1_700_000_000)
    context = ssl_context(expired, anchors=mesh.anchors, folder=tmp_path, server=False)
    with knock(loop, server, context) as peer:
        assert loop.run_until(lambda: server.door.refused)
        assert server.door.refused == [("TLS failed", "certificate has expired")]
        with pytest.raises(ssl.SSLError, match="alert certificate expired"):
            peer.receive(1)


def test_a_client_of_tls_1_2_is_refused(loop, server, strangers, mesh, tmp_path):
    context = ssl_context(None, anchors=mesh.anchors, folder=tmp_path, server=False)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with knock(loop, server, context):
        assert loop.run_until(lambda: server.door.refused)
        assert server.door.refused == [("TLS failed", "unsupported protocol")]


@pytest.mark.parametrize("protocols", [[], ["x" * 255] * 80])
def test_a_hello_may_come_byte_by_byte_and_be_long(loop, server, mesh, tmp_path, protocols):
    context = ssl_context(mesh.workload("web"), anchors=mesh.anchors, folder=tmp_path, server=False)
    if protocols:
        context.set_alpn_protocols(protocols)
    with TlsConnection.over(server.reach().sock, context, server_name=VOTING) as peer:
        hello = peer.sock.hello()
        for at in range(len(hello)):
            peer.plain.send(hello[at : at + 1])
            loop.drain()
        assert loop.run_until(peer.sock.shake)
        assert loop.run_until(lambda: server.door.secured)


def test_data_may_come_with_the_end_of_the_handshake(loop, server, strangers):
    """In one segment with the certificate; and the end of the data, too."""
    raw = server.reach()
    with TlsConnection.over(raw.sock, strangers.web, server_name=VOTING) as peer:
        peer.plain.send(peer.sock.hello())

        peer.plain.setblocking(False)

        def answered() -> bool:
            with contextlib.suppress(BlockingIOError):
                return peer.sock.shake_with(peer.plain.recv(65536))
            return False

        assert loop.run_until(answered)
        peer.plain.send(peer.sock.encrypt(b"early"))
        peer.truncate()
        assert loop.run_until(lambda: server.sessions and not server.sessions[0].attached)
        assert server.sessions[0].received == b"early"
        assert server.sessions[0].events[-1] == ("fault", "reset", errno.ECONNRESET)


GARBAGE = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x00" * 100,
    b"\x16\x03\x01\xff\xff" + bytes(100),
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x15\x03\x03\x00\x02\x01\x00",
]


@pytest.mark.parametrize("wire", GARBAGE)
def test_garbage_is_refused_and_the_descriptor_is_gone(loop, server, wire):
    with server.reach() as raw:
        raw.send(wire)
        assert loop.run_until(lambda: server.door.refused)
        [(kind, failure)] = server.door.refused
        assert kind == "TLS failed"
        assert failure
        assert loop.stats()["sources"] == 1


@pytest.mark.parametrize("said", [1, 100, 10_000])
@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_a_client_that_goes_during_the_handshake_is_gone(loop, server, strangers, said, how):
    raw = server.reach()
    peer = TlsConnection.over(raw.sock, strangers.web, server_name=VOTING)
    peer.plain.send(peer.sock.hello()[:said])
    assert loop.run_until(lambda: server.door.under_way)
    getattr(raw, how)()
    assert loop.run_until(lambda: server.door.refused)
    assert server.door.refused[0][1] == CLOSED
    assert loop.stats()["sources"] == 1
    raw.close()


def test_a_client_that_stalls_is_let_go_after_the_timeout(loop, serve, strangers):
    server = serve(timeout_ns=30 * MS)
    raw = server.reach()
    with TlsConnection.over(raw.sock, strangers.web, server_name=VOTING) as peer:
        peer.plain.send(peer.sock.hello()[:-1])
        assert loop.run_until(lambda: server.door.refused)
        assert server.door.refused == [("TLS failed", "the handshake timed out")]
        assert peer.plain.recv(1) == b""


def test_a_handshake_that_is_over_is_not_timed(loop, serve, strangers):
    server = serve(timeout_ns=30 * MS)
    with knock(loop, server, strangers.web) as peer:
        assert loop.run_until(lambda: server.sessions)
        assert loop.stats()["timers"] == 0
        assert not loop.run_until(lambda: "fault" in server.sessions[0].names(), 0.06)
        peer.send(b"still here")
        assert loop.run_until(lambda: server.sessions[0].received == b"still here")


# -- strangers, as servers


def hear(loop: Loop, raw: RawConnection) -> bytes:
    """What our client says first."""
    raw.sock.setblocking(False)
    heard = bytearray()

    def more() -> bool:
        with contextlib.suppress(BlockingIOError):
            heard.extend(raw.sock.recv(65536))
        return bool(heard)

    assert loop.run_until(more)
    raw.sock.settimeout(5 * patience())
    return bytes(heard)


@pytest.fixture
def listener() -> Iterator[RawListener]:
    with RawListener() as made:
        yield made


def answer(loop: Loop, listener: RawListener, context: ssl.SSLContext, client) -> TlsConnection:
    """A server of Python's, and our client that has been told."""
    peer = TlsConnection.over(listener.accept().sock, context)

    def told() -> bool:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            peer.sock.shake()
        return bool(client.events)

    assert loop.run_until(told)
    return peer


def begin(loop, listener, credentials, **options) -> RecorderSession:
    session = RecorderSession()
    named = {"server_name": VOTING, **options}
    connect_secure(loop, Address(*listener.address), session, credentials=credentials, **named)
    return session


def test_a_server_that_is_not_yet_valid_is_not_connected_to(loop, listener, mesh, web, tmp_path):
    early = mesh.workload("voting", starts=4_000_000_000)
    context = ssl_context(early, anchors=mesh.anchors, folder=tmp_path, server=True)
    client = begin(loop, listener, web)
    with answer(loop, listener, context, client) as peer:
        assert client.events == [REFUSED]
        assert "alert bad certificate" in peer.sock.failure


def test_a_server_of_tls_1_2_is_not_connected_to(loop, listener, mesh, web, tmp_path):
    context = ssl_context(
        mesh.workload("voting"), anchors=mesh.anchors, folder=tmp_path, server=True
    )
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = begin(loop, listener, web)
    with answer(loop, listener, context, client):
        assert client.events == [REFUSED]


@pytest.mark.parametrize("wire", GARBAGE)
def test_a_server_that_speaks_something_else_is_not_connected_to(loop, listener, web, wire):
    client = begin(loop, listener, web)
    with listener.accept() as raw:
        raw.send(wire)
        assert loop.run_until(lambda: client.events)
        assert client.events == [REFUSED]
        assert loop.stats()["sources"] == 0


@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_a_server_that_goes_during_the_handshake_is_not_connected_to(loop, listener, web, how):
    client = begin(loop, listener, web)
    with listener.accept() as raw:
        hear(loop, raw)
        getattr(raw, how)()
        assert loop.run_until(lambda: client.events)
    [(name, kind, code)] = client.events
    assert (name, kind) == ("connect_failed", "tls")
    assert code == (0 if how == "half_close" else errno.ECONNRESET)
    assert loop.stats()["sources"] == 0


def test_a_server_that_stalls_is_waited_for_no_longer_than_a_connect(loop, listener, web):
    client = begin(loop, listener, web, timeout_ns=30 * MS)
    with listener.accept() as raw:
        assert loop.run_until(lambda: client.events)
        assert client.events == [("connect_failed", "connect_timeout", errno.ETIMEDOUT)]
        # The hello was said, and then nothing more.
        hello, end = raw.receive_to_end()
        assert hello.startswith(b"\x16\x03\x01")
        assert end is End.FIN


def test_a_refused_connect_is_refused_as_a_plain_one(loop, web):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(*probe.getsockname())
    client = call(loop, address, web)
    assert client.events == [("connect_failed", "refused", errno.ECONNREFUSED)]


@pytest.mark.parametrize("verb", ["abort", "close"])
def test_a_client_may_give_up_while_the_handshake_runs(loop, listener, web, verb):
    client = begin(loop, listener, web)
    with listener.accept() as raw:
        loop.run_until(lambda: False, 0.01)
        getattr(client, verb)()
        assert loop.stats()["sources"] == 0
        raw.receive_to_end()
    assert not loop.run_until(lambda: client.events, 0.02)


@pytest.fixture
def with_tickets(mesh, tmp_path) -> ssl.SSLContext:
    """A server that gives tickets, as most do."""
    voting = mesh.workload("voting")
    made = ssl_context(voting, anchors=mesh.anchors, folder=tmp_path, server=True)
    assert made.num_tickets == 2
    return made


@pytest.mark.parametrize("paused", [False, True])
def test_tickets_are_read_over(loop, listener, web, with_tickets, paused):
    client = begin(loop, listener, web)
    if paused:
        client.pause()
    with answer(loop, listener, with_tickets, client) as peer:
        assert loop.run_until(peer.sock.shake)
        assert not loop.run_until(lambda: len(client.events) > 1, 0.02)
        # Only tickets are unread: the end behind them is told.
        peer.truncate()
        assert loop.run_until(lambda: not client.attached)
        assert client.events == [("connected",), ("fault", "reset", errno.ECONNRESET)]


def test_what_a_client_sends_while_the_handshake_runs_follows_it(loop, listener, web, strangers):
    client = begin(loop, listener, web)
    client.send(b"first")
    client.send(b"x" * 100_000)
    client.shutdown_write()
    with answer(loop, listener, strangers.voting, client) as peer:
        assert loop.run_until(lambda: client.names() == ["connected", "drained"])
        assert peer.receive_to_end() == (b"first" + b"x" * 100_000, End.FIN)
        client.abort()


def test_a_pause_does_not_stop_a_handshake(loop, listener, web, strangers):
    client = begin(loop, listener, web)
    client.pause()
    with answer(loop, listener, strangers.voting, client) as peer:
        assert client.events == [("connected",)]
        peer.send(b"waits")
        assert not loop.run_until(lambda: client.received, 0.02)
        client.resume()
        assert loop.run_until(lambda: client.received == b"waits")
        client.abort()


# -- flights that do not fit


def large(mesh: MeshAuthority, account: str) -> object:
    """A leaf with more in it than one buffer holds."""
    ballast = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), bytes(40_000))
    return mesh.workload(account, extensions=[(ballast, False)])


@pytest.mark.parametrize("receive_buffer", [None, 4096])
def test_a_flight_larger_than_a_buffer_arrives_whole(loop, serve, mesh, strangers, receive_buffer):
    made = large(mesh, "voting").credentials(anchors=mesh.anchors)
    server = serve(lambda: made)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", server.address.port))
    with TlsConnection.over(sock, strangers.web, server_name=VOTING) as peer:
        peer.plain.send(peer.sock.hello())
        # The peer is slow: our socket is full before it reads.
        loop.run_until(lambda: False, 0.02)
        assert loop.run_until(peer.sock.shake)
        assert loop.run_until(lambda: server.door.secured)


@pytest.mark.parametrize("small", [False, True])
def test_a_clients_large_flight_arrives_whole(loop, listener, mesh, strangers, small):
    """Also the end of it that waits for room when the handshake is over already, and nobody sends anything
    behind it.
    """
    made = large(mesh, "web").credentials(anchors=mesh.anchors)
    if small:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    client = begin(loop, listener, made)
    if small:
        with socket.socket(fileno=os.dup(client.hold().state()["fd"])) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with answer(loop, listener, strangers.voting, client) as peer:
        assert client.events == [("connected",)]
        assert loop.run_until(peer.sock.shake)
        assert state_of(client) == {"arrived": 0, "sealed": 0, "sealed_plain": 0}
        client.send(b"behind it")
        assert peer.receive(9) == b"behind it"
        client.abort()


# -- what else happens meanwhile


@dataclass(frozen=True, slots=True)
class HalfSaid:
    """A client, and what is missing of its hello."""

    peer: TlsConnection
    rest: bytes

    def go_on(self) -> None:
        self.peer.plain.send(self.rest)


@pytest.fixture
def client(loop, server, strangers) -> Iterator[HalfSaid]:
    """A client that has said half a hello."""
    with TlsConnection.over(server.reach().sock, strangers.web, server_name=VOTING) as peer:
        hello = peer.sock.hello()
        peer.plain.send(hello[:100])
        assert loop.run_until(lambda: server.door.under_way)
        yield HalfSaid(peer, hello[100:])


def test_a_fin_that_comes_with_more_of_the_hello_ends_the_handshake(loop, server, client):
    """Both are in the kernel before one event tells of them."""
    client.peer.plain.send(client.rest[:50])
    client.peer.truncate()
    assert loop.run_until(lambda: server.door.refused)
    assert server.door.refused == [("TLS failed", CLOSED)]


@pytest.mark.parametrize("unsent", [b"", b"unsent"])
def test_a_server_may_close_while_the_handshake_runs(loop, server, client, unsent):
    server.door.under_way[0].send(unsent)
    server.door.under_way[0].close()
    client.go_on()
    loop.run_until(lambda: False, 0.01)
    assert loop.stats()["sources"] == 1
    with contextlib.suppress(ConnectionResetError):
        assert client.peer.plain.recv(100) == b""
    assert server.door.secured == []


def test_bytes_sent_while_the_handshake_runs_follow_it(loop, server, client):
    server.door.under_way[0].send(b"220 ready")
    client.go_on()
    assert loop.run_until(client.peer.sock.shake)
    assert loop.run_until(lambda: server.door.secured)
    assert client.peer.receive(9) == b"220 ready"


def test_an_end_said_while_the_handshake_runs_follows_it(loop, server, client):
    server.door.under_way[0].shutdown_write()
    client.go_on()
    assert loop.run_until(client.peer.sock.shake)
    assert loop.run_until(lambda: server.door.secured)
    assert client.peer.receive_to_end() == (b"", End.FIN)


def test_a_session_that_raises_when_it_is_secured_ends_that_connection_alone(
    loop, server, strangers, failures
):
    def fail(name: str, session: RecorderSession) -> None:
        if name == "attached":
            raise LookupError("mine")

    server.hook = fail
    with knock(loop, server, strangers.web) as peer:
        assert loop.run_until(lambda: failures)
        assert peer.receive_to_end() == (b"", End.RESET)
    assert failures == ["TlsTransport: LookupError('mine')"]
    failures.clear()
    server.hook = None
    with knock(loop, server, strangers.web):
        assert loop.run_until(lambda: len(server.sessions) == 2)


def test_a_session_that_raises_when_it_is_connected_ends_that_connection(
    loop, listener, web, strangers, failures
):
    client = RecorderSession(lambda name, s: name == "connected" and 1 / 0)
    connect_secure(loop, Address(*listener.address), client, credentials=web, server_name=VOTING)
    with answer(loop, listener, strangers.voting, client) as peer:
        assert loop.run_until(lambda: failures)
        assert peer.receive_to_end() == (b"", End.RESET)
    failures.clear()


def test_a_loop_may_be_closed_while_handshakes_run(loop, server, client, listener, web):
    calling = begin(loop, listener, web)
    with listener.accept() as raw:
        hear(loop, raw)
        loop.close()
        assert raw.receive_to_end()[1] is End.FIN
    with pytest.raises(ConnectionResetError):
        client.peer.plain.recv(1)
    assert calling.events == []
    assert server.door.refused == server.door.secured == []


def test_connections_are_counted_from_their_handshake_on_and_in_plaintext(
    loop, serve, strangers, listener, web
):
    registry = Registry()
    serving, calling = (counting.tcp(registry, b'side="%s"' % side) for side in (b"s", b"c"))
    server = serve(metrics=serving)
    with server.reach() as raw:
        raw.send(b"garbage")
        assert loop.run_until(lambda: server.door.refused)
    failed = begin(loop, listener, web, metrics=calling)
    with listener.accept() as raw:
        raw.send(b"garbage")
        assert loop.run_until(lambda: failed.events)
    client = begin(loop, listener, web, metrics=calling)
    with (
        knock(loop, server, strangers.web) as from_peer,
        answer(loop, listener, strangers.voting, client) as to_peer,
    ):
        assert loop.run_until(lambda: server.sessions)
        for session, peer in ((server.sessions[0], from_peer), (client, to_peer)):
            peer.send(b"12345")
            assert loop.run_until(lambda: session.received == b"12345")  # noqa: B023 - called before the next turn
            session.send(b"123")
            assert peer.receive(3) == b"123"
            session.close()
    found = dict(
        line.rsplit(" ", 1)
        for line in b"".join(registry.render(0)).decode().splitlines()
        if not line.startswith("#")
    )
    for side in "sc":
        assert found[f'tcp_open_total{{side="{side}"}}'] == "1"
        assert found[f'tcp_open_connections{{side="{side}"}}'] == "0"
        assert found[f'tcp_read_bytes_total{{side="{side}"}}'] == "5"
        assert found[f'tcp_write_bytes_total{{side="{side}"}}'] == "3"
        assert found[f'tcp_close_total{{side="{side}",errno=""}}'] == "1"
