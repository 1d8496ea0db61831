"""Turns of an engine's loop that a test makes by hand."""

import select

from linkerd2_py._ext.io.loop import Loop
from tests.support.raw_socket import RawConnection
from tests.support.wait import patience


def settle(loop: Loop) -> None:
    """Until nothing is ready and nothing was put off. One call of `drain` does only as much as its time
    allows.
    """
    ready = select.poll()
    ready.register(loop.fileno(), select.POLLIN)
    while ready.poll(0):
        loop.drain()


def read_while_running(loop: Loop, peer: RawConnection, count: int) -> bytes:
    """At least `count` bytes at the peer, while the loop runs."""
    peer.sock.setblocking(False)
    got = bytearray()

    def more() -> bool:
        try:
            while piece := peer.sock.recv(65536):
                got.extend(piece)
        except BlockingIOError:
            pass
        return len(got) >= count

    assert loop.run_until(more), len(got)
    peer.sock.settimeout(5 * patience())
    return bytes(got)
