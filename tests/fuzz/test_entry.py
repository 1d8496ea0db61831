"""How clients come in to a server of ours, with bytes that come in any pieces or are not what they should be:
who asks properly is answered, nothing of anybody else stays, and the next one is served.
"""

import socket
import ssl
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.local_server import LocalServer
from tests.support.http2_script import PREFACE, frame
from tests.support.http2_script import SETTINGS as SETTINGS_FRAME
from tests.support.route_rig import GET, End, Rig
from tests.support.tls_socket import TlsConnection
from tests.support.workloads import MeshAuthority, identity_of, name_of, ssl_context

reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
mesh = cache(MeshAuthority)


class Served:
    def __init__(self, rig: Rig, tls: ssl.SSLContext) -> None:
        self.rig, self.tls = rig, tls
        self.asked = 0
        self.server = LocalServer(
            rig.loop,
            on_request=self._answer,
            limits=Limits(head_timeout_ns=0),
            identity=identity_of(mesh(), "voting"),
        )
        found = self.server.listen("127.0.0.1", 0)
        self.address = (found.host, found.port)

    def _answer(self, request) -> None:
        self.asked += 1
        request.respond(200, body=b"fine")

    def client(self) -> TlsConnection:
        """Over TLS, at its first byte."""
        link = TlsConnection.over(
            socket.create_connection(self.address), self.tls, server_name=name_of("voting")
        )
        link.plain.setblocking(False)
        return link

    def play(self, wire: bytes, cuts: list[int]) -> End:
        client = self.rig.connect(self.address)
        for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            try:
                client.send(wire[start:stop])
            except (BrokenPipeError, ConnectionResetError):
                break
            self.rig.loop.drain()
            client.take()
        return client

    def answers(self) -> bool:
        """Whether somebody else is served, over TLS and in plain text."""
        for end in (
            self.rig.connect(self.address),
            self.rig.connect_secure(self.address, tls=self.tls, server_name=name_of("voting")),
        ):
            end.send(GET)
            self.rig.until(lambda end=end: end.take().endswith(b"fine"))
            end.link.close()
            self.rig.links.remove(end.link)
        return True


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    return ssl_context(mesh().workload("web"), anchors=mesh().anchors, folder=folder, server=False)


@pytest.fixture
def served(tls) -> Iterator[Served]:
    failures: list[str] = []
    loop = Loop()
    loop.on_error = lambda error, actor: failures.append(repr(error))
    made = Served(Rig(loop), tls)
    yield made
    made.server.drain()
    made.rig.close()
    loop.close()
    # The fixture's value outlives this: what it holds must not.
    del made.server, made.rig
    assert not failures


def in_pieces(served: Served, wire: bytes, plain: socket.socket, size: int) -> None:
    for at in range(0, len(wire), size):
        plain.sendall(wire[at : at + size])
        served.rig.loop.drain()


@reuse
@given(size=st.sampled_from([1, 2, 5, 64, 513, 100_000]))
def test_a_request_over_tls_is_answered_in_whatever_pieces_it_comes(served, size):
    link = served.client()
    end = End(link)
    in_pieces(served, link.sock.hello(), link.plain, size)
    flight: list[bytes] = []

    def shook() -> bool:
        try:
            flight.append(link.plain.recv(65536))
        except BlockingIOError:
            return False
        return link.sock.shake_with(flight[-1])

    served.rig.until(shook)
    in_pieces(served, link.sock.encrypt(GET), link.plain, size)
    served.rig.until(lambda: end.take().endswith(b"fine"))
    link.close()


STORIES = [GET, PREFACE + frame(SETTINGS_FRAME), b"PUT / HTTP/1.1\r\n", bytes(range(256))]


@reuse
@given(
    story=st.sampled_from(STORIES),
    cuts=st.lists(st.integers(1, 15), max_size=6, unique=True).map(sorted),
)
def test_plain_text_is_the_same_in_any_pieces(served, story, cuts):
    asked = served.asked
    client = served.play(story, cuts)
    served.rig.until(lambda: client.take() or client.end or story.startswith(b"PUT"))
    assert served.asked - asked == (story == GET)
    client.link.close()
    served.rig.links.remove(client.link)


@reuse
@given(data=st.data())
def test_a_hello_that_is_changed_or_cut_spoils_nothing_else(served, data):
    link = served.client()
    wire = bytearray(link.sock.hello())
    link.plain.close()
    for _ in range(data.draw(st.integers(0, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    wire = wire[: data.draw(st.integers(0, len(wire)))] + data.draw(st.binary(max_size=40))
    client = served.play(bytes(wire), [])
    assert served.answers()
    client.link.close()
    served.rig.links.remove(client.link)


@reuse
@given(said=st.binary(max_size=80), over=st.booleans())
def test_any_bytes_spoil_nothing_else(served, said, over):
    if over:
        client = served.rig.connect_secure(
            served.address, tls=served.tls, server_name=name_of("voting")
        )
        if said:
            client.send(said)
    else:
        client = served.play(said, [])
    assert served.answers()
    client.link.close()
    served.rig.links.remove(client.link)
