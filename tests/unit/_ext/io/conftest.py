"""TCP pairs with one end in the loop and the other in the test's hands."""

import socket
from collections.abc import Callable, Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from tests.support.raw_socket import RawConnection, RawListener

Pair = Callable[..., tuple[RecorderSession, RawConnection]]


@pytest.fixture
def pair(loop: Loop) -> Iterator[Pair]:
    """`pair(session)`: the session on one end of a fresh connection, a plain socket on the other."""
    peers: list[RawConnection] = []

    def make(
        session: RecorderSession | None = None, *, host: str = "127.0.0.1"
    ) -> tuple[RecorderSession, RawConnection]:
        session = session or RecorderSession()
        with RawListener(host=host) as listener:
            ours = socket.socket(listener.sock.family)
            ours.connect(listener.address)
            peer = listener.accept()
        peers.append(peer)
        ours.setblocking(False)
        adopt(loop, ours.detach(), session)
        return session, peer

    yield make
    for peer in peers:
        peer.close()
