"""A loop per test, and TCP pairs with one end in the loop and the other in the test's hands."""

import socket
from collections.abc import Callable, Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from tests.support.raw_socket import RawConnection, RawListener

Pair = Callable[..., tuple[RecorderSession, RawConnection]]


class Failures(list[str]):
    """What the loop reported; a test that expects failures empties it."""


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture(params=[True, False], ids=["io_uring", "one-by-one"])
def loop(request: pytest.FixtureRequest, failures: Failures) -> Iterator[Loop]:
    """Both ways of making a batch of calls; they must not differ in anything a session can see."""
    loop = Loop(io_uring=request.param)
    if request.param and not loop.stats()["io_uring"]:
        loop.close()
        pytest.skip("the kernel offers no io_uring")
    loop.on_error = lambda error, actor: failures.append(f"{type(actor).__name__}: {error!r}")
    yield loop
    loop.close()
    assert not failures


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
