"""The end: wait for what is under way, then cut."""

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.proxy.drain import drain


class Draining:
    """A server whose connections end by themselves after some looks, or never."""

    def __init__(self, *, looks: int, clock: ManualClock) -> None:
        self.drained = self.aborted = 0
        self._looks = looks
        self._clock = clock

    @property
    def open_connections(self) -> int:
        self._clock.advance(1.0)
        self._looks -= 1
        return max(0, self._looks) if not self.aborted else 0

    def drain(self) -> None:
        self.drained += 1

    def abort_all(self) -> None:
        self.aborted += 1


async def test_it_waits_until_all_have_ended() -> None:
    clock = ManualClock()
    server = Draining(looks=3, clock=clock)
    assert await drain([server], grace_s=100, clock=clock)
    assert (server.drained, server.aborted) == (1, 0)


async def test_what_outlives_the_grace_period_is_cut() -> None:
    clock = ManualClock()
    servers = [Draining(looks=10_000, clock=clock), Draining(looks=0, clock=clock)]
    assert not await drain(servers, grace_s=3, clock=clock)
    assert [server.aborted for server in servers] == [1, 1]


async def test_no_grace_cuts_at_once() -> None:
    clock = ManualClock()
    server = Draining(looks=5, clock=clock)
    assert not await drain([server], grace_s=0, clock=clock)
