"""Who comes in to a server whose requests Python answers: over TLS or in plain text, in HTTP/1 or HTTP/2, and
who does not.
"""

import functools
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import h2.connection
import h2.events
import pytest

from linkerd2_py._ext.core.debug import counts
from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py._ext.route.call_server import CallServer
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.local_server import LocalServer, Request
from linkerd2_py._ext.tls.identity import LocalIdentity
from tests.support.call_rig import Calls, message
from tests.support.route_rig import GET, MS, End, Rig
from tests.support.tls_socket import TlsConnection
from tests.support.workloads import MeshAuthority, identity_of, name_of, ssl_context

NAME = name_of("voting")
NO_TLS = (("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote"))
mesh = functools.cache(MeshAuthority)


class Sides(NamedTuple):
    """Clients' TLS."""

    meshed: ssl.SSLContext
    nameless: ssl.SSLContext
    stranger: ssl.SSLContext


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    folder = tmp_path_factory.mktemp("tls")
    other = MeshAuthority().workload("web")
    anchors = mesh().anchors
    return Sides(
        ssl_context(mesh().workload("web"), anchors=anchors, folder=folder / "a", server=False),
        ssl_context(None, anchors=anchors, folder=folder, server=False),
        ssl_context(other, anchors=anchors, folder=folder / "b", server=False),
    )


class Server:
    """One that tells who asked, under policy where it is given."""

    def __init__(self, rig: Rig, **options: object) -> None:
        self.rig = rig
        self.asked: list[tuple[str | None, bool, tuple[tuple[str, str], ...]]] = []
        self.failures: list[str] = []
        self.identity = identity_of(mesh(), "voting")
        self.identity.on_failure = lambda inbound, peer, reason: self.failures.append(reason)
        self.server = LocalServer(
            rig.loop,
            on_request=lambda request: request.respond(200, [(b"x-a", b"1")], b"fine"),
            **{"identity": self.identity, "no_tls": NO_TLS, **options},  # type: ignore[arg-type] # of the test's
        )
        self.server.authorize = self._authorize
        found = self.server.listen("127.0.0.1", 0)
        self.address = (found.host, found.port)

    def _authorize(self, client: Client, peer: Address | None) -> Permission:
        assert peer is not None
        assert peer.host == "127.0.0.1"
        self.asked.append((client.identity, client.secured, client.labels))
        return Permission()

    def secure(self, tls: ssl.SSLContext, name: str = NAME) -> End:
        return self.rig.connect_secure(self.address, tls=tls, server_name=name)


@pytest.fixture
def server(rig: Rig) -> Iterator[Server]:
    made = Server(rig)
    yield made
    made.server.drain()
    # The fixture's value outlives this: what it holds must not.
    del made.server, made.identity


def ask_h1(rig: Rig, client: End) -> bytes:
    client.send(GET)
    rig.until(lambda: client.take().endswith(b"fine"))
    return client.received


def ask_h2(rig: Rig, client: End, *, method: str = "GET") -> tuple[dict[bytes, bytes], bytes]:
    """The fields and the body of one answer."""
    made = h2.connection.H2Connection()
    made.initiate_connection()
    head = {":method": method, ":scheme": "http", ":path": "/", ":authority": "a.test"}
    made.send_headers(1, list(head.items()), end_stream=True)
    client.send(made.data_to_send())
    fields: dict[bytes, bytes] = {}
    body, over, taken = [b""], [False], [0]

    def hear() -> bool:
        piece = client.take()[taken[0] :]
        taken[0] += len(piece)
        for event in made.receive_data(piece) if piece else ():
            if isinstance(event, h2.events.ResponseReceived):
                fields.update(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                body[0] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                over[0] = True
        return over[0]

    rig.until(hear)
    return fields, body[0]


def test_http1_and_http2_come_in_over_tls_and_without(
    rig: Rig, server: Server, sides: Sides
) -> None:
    secure = functools.partial(server.secure, sides.meshed)
    assert ask_h1(rig, rig.connect(server.address)).startswith(b"HTTP/1.1 200")
    assert ask_h1(rig, secure()).startswith(b"HTTP/1.1 200")
    for client in (rig.connect(server.address), secure()):
        fields, body = ask_h2(rig, client)
        assert (fields[b":status"], fields[b"x-a"], body) == (b"200", b"1", b"fine")
    plain = (None, False, NO_TLS)
    meshed = (name_of("web"), True, (("tls", "true"), ("client_id", name_of("web"))))
    assert server.asked == [plain, meshed, plain, meshed]


def test_a_head_over_http2_has_no_body(rig: Rig, server: Server) -> None:
    fields, body = ask_h2(rig, rig.connect(server.address), method="HEAD")
    assert (fields[b":status"], fields[b"content-length"], body) == (b"200", b"4", b"")


def test_who_shows_no_certificate_comes_in_as_nobody(
    rig: Rig, server: Server, sides: Sides
) -> None:
    ask_h1(rig, server.secure(sides.nameless))
    assert server.asked == [(None, True, (("tls", "true"), ("client_id", "")))]


def test_a_certificate_of_another_mesh_is_refused_and_told(
    rig: Rig, server: Server, sides: Sides
) -> None:
    client = server.secure(sides.stranger)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        rig.until(lambda: client.take() or client.end)
    assert len(server.failures) == 1


def test_tls_for_another_name_is_refused(rig: Rig, server: Server, sides: Sides) -> None:
    with pytest.raises(ConnectionResetError):
        server.secure(sides.meshed, name_of("web"))
    assert not server.failures


def test_before_the_first_certificate_tls_is_refused_and_plain_text_served(
    rig: Rig, sides: Sides
) -> None:
    server = Server(rig, identity=LocalIdentity(NAME))
    with pytest.raises(ConnectionResetError):
        server.secure(sides.meshed)
    ask_h1(rig, rig.connect(server.address))
    server.server.drain()


def test_without_an_identity_a_hello_is_a_bad_request(rig: Rig, sides: Sides) -> None:
    server = Server(rig, identity=None)
    client = rig.connect(server.address)
    client.send(bytes([0x16, 3, 1, 0, 200, 1]) + b"\r\n\r\n")
    rig.until(lambda: client.take().startswith(b"HTTP/1.1 400"))
    server.server.drain()


@pytest.mark.parametrize(
    "said", [b"", b"PRI * H", bytes([0x16, 3, 1]), bytes([0x16, 3, 1, 2, 0, 1])]
)
def test_who_does_not_say_what_it_speaks_is_let_go(rig: Rig, said: bytes) -> None:
    server = Server(rig, patience_ns=20 * MS)
    client = rig.connect(server.address)
    client.send(said)
    rig.until(lambda: client.take() == b"" and client.end == "reset")
    server.server.drain()


def test_a_handshake_that_stalls_is_let_go_and_told(rig: Rig, sides: Sides) -> None:
    server = Server(rig, patience_ns=20 * MS)
    plain = socket.create_connection(server.address)
    link = TlsConnection.over(plain, sides.meshed, server_name=NAME)
    rig.links.append(link)
    plain.sendall(link.sock.hello())
    rig.until(lambda: server.failures)
    assert server.failures == ["the handshake timed out"]
    server.server.drain()


def test_an_end_before_a_request_is_answered_with_an_end(rig: Rig, server: Server) -> None:
    client = rig.connect(server.address)
    client.send(b"P")
    client.link.half_close()
    rig.until(lambda: client.take() == b"" and client.end == "fin")


def test_who_has_said_nothing_makes_room_first(rig: Rig) -> None:
    server = Server(rig, connections_max=3)
    idle = [rig.connect(server.address) for _ in range(2)]
    ask_h1(rig, idle[0])
    ask_h2(rig, idle[1])
    silent = rig.connect(server.address)
    for _ in range(20):
        rig.loop.drain()
    ask_h1(rig, rig.connect(server.address))
    rig.until(lambda: silent.take() == b"" and silent.end == "reset")
    assert not idle[0].end
    # ... and then the oldest idle one, whatever it speaks.
    ask_h1(rig, rig.connect(server.address))
    rig.until(lambda: (idle[0].take(), idle[0].end)[1])
    ask_h1(rig, rig.connect(server.address))
    rig.until(lambda: (idle[1].take(), idle[1].end)[1])
    server.server.drain()


def test_a_drain_ends_who_is_still_coming_in(rig: Rig, server: Server, sides: Sides) -> None:
    silent, idle = rig.connect(server.address), server.secure(sides.meshed)
    ask_h2(rig, idle)
    server.server.drain()
    rig.until(lambda: silent.take() == b"" and silent.end)
    rig.until(lambda: idle.take() and idle.end == "fin")


# ---- what policy says


def refusing(rig: Rig, *opened: Condition) -> Server:
    server = Server(rig)
    server.server.authorize = lambda client, peer: Permission(
        otherwise=Passage(refusal="not you"),
        rules=Rules(opened),
        routes=tuple(0 for _ in opened),
        passage=lambda _: Passage(),
    )
    return server


def test_policy_refuses_requests_and_leaves_paths_open(rig: Rig) -> None:
    server = refusing(rig, match.path(b"/ready"))
    client = rig.connect(server.address)
    client.send(GET)
    rig.until(lambda: client.take().endswith(b"not you\n"))
    assert client.received.startswith(b"HTTP/1.1 403")
    assert b"l5d-proxy-error" not in client.received
    client.send(GET.replace(b" / ", b" /ready "))
    rig.until(lambda: client.take().endswith(b"fine"))
    server.server.drain()


def test_who_is_known_is_told_why_in_our_own_words(rig: Rig, sides: Sides) -> None:
    server = refusing(rig)
    fields, body = ask_h2(rig, server.secure(sides.meshed))
    assert (fields[b":status"], fields[b"l5d-proxy-error"], body) == (
        b"403",
        b"not you",
        b"not you\n",
    )
    server.server.drain()


def test_the_body_of_what_is_refused_is_not_kept(rig: Rig) -> None:
    server = refusing(rig)
    client = rig.connect(server.address)
    client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
    rig.until(lambda: client.take().endswith(b"not you\n"))
    client.send(b"x" * 30000 + GET)
    rig.until(lambda: client.take().count(b"not you\n") == 2 or client.end)
    server.server.drain()


# ---- calls


def calls_of(rig: Rig, **options: object) -> Calls:
    made = Calls(rig, **{"identity": identity_of(mesh(), "voting"), **options})  # type: ignore[arg-type] # as above
    made.answer = lambda call: (call.send([b"yes"]), call.finish())
    return made


def test_calls_come_over_tls_and_in_plain_text_to_one_port(rig: Rig, sides: Sides) -> None:
    calls = calls_of(rig)
    ends = [
        rig.connect(calls.address),
        *(
            rig.connect_secure(calls.address, tls=tls, server_name=NAME)
            for tls in (sides.meshed, sides.nameless)
        ),
    ]
    for end in ends:
        stream = calls.client_at(end).ask(b"well")
        calls.until(lambda stream=stream: stream.end)
        assert (stream.status, stream.body) == ("0", message(b"yes"))
    assert calls.server.connections == 3
    calls.close()


def test_a_port_for_tls_takes_no_plain_text(rig: Rig, sides: Sides) -> None:
    calls = calls_of(rig)
    address = calls.listen(plain=False)
    client = calls.client_at(rig.connect(address))
    rig.until(lambda: client.link.take() == b"" and client.link.end == "reset")
    calls.clients.clear()
    end = rig.connect_secure(address, tls=sides.nameless, server_name=NAME)
    stream = calls.client_at(end).ask(b"well")
    calls.until(lambda: stream.end)
    assert stream.status == "0"
    calls.close()


def test_a_port_for_tls_needs_an_identity(rig: Rig) -> None:
    server = CallServer(rig.loop, on_call=lambda *_: None)
    with pytest.raises(ValueError, match="without an identity"):
        server.listen("127.0.0.1", 0, plain=False)


def test_http1_over_tls_is_no_call(rig: Rig, sides: Sides) -> None:
    calls = calls_of(rig)
    client = rig.connect_secure(calls.address, tls=sides.meshed, server_name=NAME)
    client.send(GET)
    rig.until(lambda: client.take() and client.end)
    assert client.received[3] == 4
    assert calls.server.connections == 0
    calls.close()


def test_who_is_coming_in_counts_and_makes_room(rig: Rig) -> None:
    calls = calls_of(rig, connections_max=2, limits=Limits(ping_interval_ns=0))
    silent = [rig.connect(calls.address) for _ in range(2)]
    rig.until(lambda: calls.server.connections == 2)
    stream = calls.client().ask(b"well")
    calls.until(lambda: stream.end)
    silent[0].take()
    assert silent[0].end == "reset"
    assert calls.server.connections == 2
    calls.server.drain()
    rig.until(lambda: silent[1].take() == b"" and silent[1].end == "reset")
    calls.close()


def test_nothing_is_left_of_who_came_and_went(rig: Rig, sides: Sides) -> None:
    calls = calls_of(rig)
    before = counts()["session"]
    for said in (b"", b"PRI * H", bytes([0x16, 3, 1, 2, 0, 1])):
        client = rig.connect(calls.address)
        client.send(said)
        rig.until(lambda: calls.server.connections == 1)
        client.link.close()
        rig.until(lambda: calls.server.connections == 0)
    assert counts()["session"] == before
    calls.close()


def test_requests_tell_their_peer(rig: Rig) -> None:
    peers: list[str] = []

    def answer(request: Request) -> None:
        peers.append(request.peer.host)
        request.respond(204)

    server = LocalServer(rig.loop, on_request=answer)
    found = server.listen("127.0.0.1", 0)
    client = rig.connect((found.host, found.port))
    client.send(GET)
    rig.until(lambda: client.take().startswith(b"HTTP/1.1 204"))
    assert peers == ["127.0.0.1"]
    server.drain()
