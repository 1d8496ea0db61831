"""Endpoints of a pool, and the other ends of their connections in the test's hands."""

import select
from collections.abc import Callable
from dataclasses import dataclass, field

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.pool.testing import Asker, Door
from tests.support.raw_socket import RawConnection, RawListener
from tests.support.turns import settle
from tests.support.wait import patience

MS = 1_000_000
# Nothing that a test does not wait for happens on its own.
CALM = {"connect_timeout_ns": 30_000 * MS, "failfast_ns": 60_000 * MS, "http1_idle_ns": 60_000 * MS}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(slots=True)
class Rig:
    """One loop, and what was made on it."""

    loop: Loop
    doors: list[Door] = field(default_factory=list)
    links: list[RawConnection] = field(default_factory=list)

    def door(
        self,
        where: RawListener | tuple[str, int],
        *,
        h2: bool = False,
        alone: bool = False,
        opaque: bool = False,
        other: tuple[str, int] | None = None,
        **settings: float,
    ) -> Door:
        address = where.address if isinstance(where, RawListener) else where
        made = PoolSettings(**{"backoff_jitter": 0.0, **CALM, **settings})  # type: ignore[arg-type]
        door = Door(self.loop, address, made, h2=h2, alone=alone, opaque=opaque, other=other)
        door.open()
        self.doors.append(door)
        return door

    def until(self, truth: Callable[[], object]) -> None:
        assert self.loop.run_until(lambda: bool(truth()), 10.0 * patience())

    def accept(self, listener: RawListener) -> RawConnection:
        """The next connection; the loop has seen that it is made."""
        link = listener.accept()
        self.links.append(link)
        return link

    def answer(self, asker: Asker, link: RawConnection) -> None:
        """One whole exchange on the stream that the asker was given."""
        asker.get()
        self.until(lambda: arrived(link))
        link.receive_until(b"\r\n\r\n")
        link.send(OK)
        self.until(lambda: ("body", b"ok", True) in asker.events)

    def close(self) -> None:
        for door in self.doors:
            door.close()
        for link in self.links:
            link.close()
        settle(self.loop)
        # Whoever still holds this rig holds no endpoint.
        self.doors.clear()


def arrived(link: RawConnection) -> bool:
    """Whether bytes, or an end, can be read."""

    return bool(select.select([link.sock], [], [], 0)[0])
