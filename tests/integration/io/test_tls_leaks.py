"""Thousands of handshakes, good and bad ones: no descriptor, object or memory stays behind."""

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from linkerd2_py._ext.core import buffer, debug
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import EchoSession, RecorderSession
from linkerd2_py._ext.tls.testing import AcceptSecure, connect_secure, remembered
from tests.support.raw_socket import RawConnection, abort
from tests.support.workloads import MeshAuthority, name_of

VOTING = name_of("voting")
WARM, ROUNDS = 50, 200


@pytest.fixture(params=[True, False], ids=["io_uring", "one-by-one"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(io_uring=request.param)
    failures: list[str] = []
    loop.on_error = lambda error, actor: failures.append(repr(error))
    yield loop
    loop.close()
    assert failures == []


class Story:
    """A server of ours, and the ways to meet it."""

    def __init__(self, loop: Loop) -> None:
        mesh, other = MeshAuthority(), MeshAuthority()
        both = mesh.anchors + other.anchors
        self.loop = loop
        self.web = mesh.credentials("web")
        self.stranger = other.credentials("web", anchors=both)
        self.server = mesh.credentials("voting")
        self.door = AcceptSecure(lambda: self.server, EchoSession)
        self.listener = Listener(loop, ("127.0.0.1", 0), self.door)

    def ways(self) -> list[Callable[[], None]]:
        return [
            self.talk,
            self.abort,
            self.wrong_name,
            self.refused,
            self.garbage,
            self.half_a_hello,
            self.gone_at_once,
        ]

    def call(self, credentials: object, **options: object) -> RecorderSession:
        session = RecorderSession()
        named = {"server_name": VOTING, **options}
        address: Address = self.listener.address
        connect_secure(self.loop, address, session, credentials=credentials, **named)  # type: ignore[arg-type]
        assert self.loop.run_until(lambda: session.events)
        return session

    def talk(self) -> None:
        session = self.call(self.web)
        session.send(b"x" * 20_000)
        assert self.loop.run_until(lambda: len(session.received) == 20_000)
        session.close()

    def abort(self) -> None:
        self.call(self.web).abort()

    def wrong_name(self) -> None:
        assert self.call(self.web, expected=name_of("emoji")).names() == ["connect_failed"]

    def refused(self) -> None:
        session = self.call(self.stranger)
        assert self.loop.run_until(lambda: not session.attached)

    def garbage(self) -> None:
        with self.reach() as raw:
            raw.send(b"GET / HTTP/1.1\r\n\r\n")
            self.settle()

    def half_a_hello(self) -> None:
        with self.reach() as raw:
            raw.send(b"\x16\x03\x01\x02\x00\x01\x00")
            assert self.loop.run_until(lambda: self.door.under_way)

    def gone_at_once(self) -> None:
        abort(self.reach().sock)

    def reach(self) -> RawConnection:
        return RawConnection.connect(("127.0.0.1", self.listener.address.port))

    def settle(self) -> None:
        """Only the listener is left."""
        assert self.loop.run_until(lambda: self.loop.stats()["sources"] == 1)
        self.door.refused.clear()
        self.door.secured.clear()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_handshakes_of_every_outcome_leave_nothing_behind(loop: Loop) -> None:
    story = Story(loop)

    def rounds(count: int) -> tuple[int, int, dict[str, int]]:
        for _ in range(count):
            for way in story.ways():
                way()
            story.settle()
        buffer.trim()
        gc.collect()
        return psutil.Process().memory_info().rss, descriptors(), debug.counts()

    rss, files, objects = rounds(WARM)
    later_rss, later_files, later_objects = rounds(ROUNDS)
    assert later_files == files
    assert later_objects == objects
    # 1400 connections more: what stayed of each would soon show; the smallest of OpenSSL's states has some
    # kilobytes.
    assert later_rss - rss < 512 * 1024, later_rss - rss
    assert len(remembered(story.server)) == 1
    story.listener.close()


def test_renewed_credentials_leave_nothing_of_the_old_ones() -> None:
    mesh = MeshAuthority()
    kept = mesh.credentials()
    before = debug.counts()
    made = [mesh.workload() for _ in range(20)]

    def install(count: int) -> int:
        for number in range(count):
            made[number % 20].credentials(anchors=mesh.anchors)
            with contextlib.suppress(ValueError):
                made[number % 20].credentials(anchors=b"")
        return psutil.Process().memory_info().rss

    warm = install(300)
    assert install(1000) - warm < 1024 * 1024
    assert debug.counts() == before
    assert kept.not_after > 0
