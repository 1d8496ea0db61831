"""A mesh per session, and connections whose one end is ours in the loop and whose other end is Python's TLS
in the test's hands.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession
from linkerd2_py._ext.tls.credentials import Credentials
from linkerd2_py._ext.tls.testing import AcceptSecure, MemoryChannel, connect_secure
from tests.support.memory_tls import SIDES, VOTING, Met, PythonEnd, python_client
from tests.support.raw_socket import RawConnection, RawListener
from tests.support.tls_socket import TlsConnection
from tests.support.workloads import MeshAuthority, Workload, name_of, ssl_context

Pair = Callable[..., tuple[RecorderSession, TlsConnection]]


@pytest.fixture(scope="session")
def mesh() -> MeshAuthority:
    return MeshAuthority()


@pytest.fixture(scope="session")
def web(mesh: MeshAuthority) -> Credentials:
    return mesh.credentials("web")


@pytest.fixture(scope="session")
def voting(mesh: MeshAuthority) -> Credentials:
    return mesh.credentials("voting")


@dataclass(frozen=True, slots=True)
class Strangers:
    """The same workloads as Python's `ssl` plays them."""

    web: ssl.SSLContext
    voting: ssl.SSLContext


@pytest.fixture(scope="session")
def strangers(mesh: MeshAuthority, tmp_path_factory: pytest.TempPathFactory) -> Strangers:
    folder = tmp_path_factory.mktemp("strangers")
    web, voting = mesh.workload("web"), mesh.workload("voting")
    server = ssl_context(voting, anchors=mesh.anchors, folder=folder / "voting", server=True)
    server.verify_mode = ssl.CERT_REQUIRED
    # What a test sends is then the first that comes behind the handshake.
    server.num_tickets = 0
    return Strangers(
        web=ssl_context(web, anchors=mesh.anchors, folder=folder / "web", server=False),
        voting=server,
    )


class Pairs:
    """Makes connections, and closes what the test holds of them."""

    def __init__(self, loop: Loop, strangers: Strangers, web: Credentials, voting: Credentials):
        self._loop = loop
        self._strangers = strangers
        self._web, self._voting = web, voting
        self._peers: list[TlsConnection] = []

    def serving(
        self, session: RecorderSession | None = None, *, host: str = "127.0.0.1"
    ) -> tuple[RecorderSession, TlsConnection]:
        """We are the server."""
        session = session or RecorderSession()
        door = AcceptSecure(lambda: self._voting, lambda: session)
        listener = Listener(self._loop, (host, 0), door)
        raw = RawConnection.connect((host, listener.address.port))
        peer = self._hold(
            TlsConnection.over(raw.sock, self._strangers.web, server_name=name_of("voting"))
        )
        self._shake(peer, session, door.refused)
        listener.close()
        return session, peer

    def calling(
        self, session: RecorderSession | None = None, *, host: str = "127.0.0.1"
    ) -> tuple[RecorderSession, TlsConnection]:
        """We are the client."""
        session = session or RecorderSession()
        caller = RecorderSession(lambda name, s: name == "connected" and s.hand_to(session))
        with RawListener(host=host) as listener:
            connect_secure(
                self._loop,
                Address(*listener.address),
                caller,
                credentials=self._web,
                server_name=name_of("voting"),
            )
            peer = self._hold(TlsConnection.over(listener.accept().sock, self._strangers.voting))
        self._shake(peer, session, caller.events)
        return session, peer

    def _shake(self, peer: TlsConnection, session: RecorderSession, failed: list[object]) -> None:
        assert self._loop.run_until(lambda: peer.sock.shake() and session.events), failed

    def _hold(self, peer: TlsConnection) -> TlsConnection:
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        for peer in self._peers:
            peer.close()


@pytest.fixture
def pairs(
    loop: Loop, strangers: Strangers, web: Credentials, voting: Credentials
) -> Iterator[Pairs]:
    made = Pairs(loop, strangers, web, voting)
    yield made
    made.close()


@pytest.fixture(params=["serving", "calling"])
def pair(request: pytest.FixtureRequest, pairs: Pairs) -> Pair:
    """`pair(session)`: the session on our end of a fresh connection, as the server or as the client."""
    made: Pair = getattr(pairs, request.param)
    return made


@pytest.fixture
def meet(mesh, web, voting, tmp_path) -> Iterator[Callable[..., Met]]:
    """`meet(side, stranger)`: nothing has been said yet. Without a stranger, a workload that is as it should
    be.
    """
    made: list[Met] = []

    def make(
        side: str,
        stranger: Workload | None = None,
        *,
        anonymous: bool = False,
        change: Callable[[ssl.SSLContext], None] = lambda context: None,
        **ours: object,
    ) -> Met:
        server = side == "calling"
        if not anonymous:
            stranger = stranger or mesh.workload("voting" if server else "web")
        context = ssl_context(
            stranger, anchors=mesh.anchors, folder=tmp_path / str(len(made)), server=server
        )
        change(context)
        if server:
            both = Met(MemoryChannel(web, server_name=VOTING, **ours), PythonEnd(context))
        else:
            both = Met(MemoryChannel(voting, **ours), python_client(context))
        made.append(both)
        return both

    yield make
    for both in made:
        both.let_go()


@pytest.fixture(params=SIDES)
def met(request, meet) -> Met:
    """Shaken hands, both ways."""
    both = meet(request.param)
    assert both.shake() == ("done", "done")
    both.settle()
    return both
