"""Proxy servers on a loop that the test drives, with its own sockets at both ends."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.local_client import LocalClient, LocalRequest
from linkerd2_py._ext.route.server import ProxyServer
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from tests.support.raw_socket import RawConnection, RawListener
from tests.support.tls_socket import TlsConnection
from tests.support.turns import settle
from tests.support.wait import patience

MS = 1_000_000
# Nothing that a test does not wait for happens on its own.
CALM = {"connect_timeout_ns": 30_000 * MS, "failfast_ns": 60_000 * MS, "backoff_jitter": 0.0}
GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Seen:
    """What a request of Python's was told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.request: LocalRequest | None = None

    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    def status(self) -> int:
        status: int = next(event[1] for event in self.events if event[0] == "head")
        return status

    def body(self) -> bytes:
        return b"".join(event[1] for event in self.events if event[0] == "body")

    def over(self) -> bool:
        return bool(self.events) and self.events[-1][0] in {"end", "reset"}


class End:
    """One connection, read without blocking."""

    def __init__(self, link: RawConnection) -> None:
        self.link = link
        self.link.sock.setblocking(False)
        self.received = b""
        self.end: str = ""

    def take(self) -> bytes:
        while not self.end:
            try:
                piece = self.link.sock.recv(65536)
            except BlockingIOError:
                break
            except ConnectionResetError:
                self.end = "reset"
                break
            self.received += piece
            self.end = "" if piece else "fin"
        return self.received

    def send(self, content: bytes) -> None:
        assert self.link.sock.send(content) == len(content)


@dataclass(slots=True)
class Rig:
    """One loop, and what was made on it."""

    loop: Loop
    registry: Registry = field(default_factory=Registry)
    tables: list[TargetTable] = field(default_factory=list)
    servers: list[ProxyServer] = field(default_factory=list)
    links: list[RawConnection] = field(default_factory=list)

    def table(
        self,
        direction: str = "outbound",
        *,
        on_unknown: Callable[[Target], None] = lambda _target: None,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> TargetTable:
        table = TargetTable(
            self.loop,
            self.registry,
            direction=direction,
            settings=PoolSettings(**{**CALM, **(settings or {})}),
            on_unknown_target=on_unknown,
            **options,
        )
        self.tables.append(table)
        return table

    def target(self, *endpoints: RawListener, opaque: bool = False, **settings: Any) -> Target:
        """A target that is known, with these endpoints."""
        target = self.table(settings=settings).install(b"svc.test:80")
        target.configure(opaque=opaque)
        if endpoints:
            target.replace([EndpointSpec(Address(*one.address)) for one in endpoints])
        return target

    def server(
        self, table: TargetTable, target: Target | None = None, **options: Any
    ) -> tuple[ProxyServer, tuple[str, int]]:
        options = {"limits": Limits(), "detect_timeout_ns": 60_000 * MS, **options}
        server = ProxyServer(self.loop, table, direction=table.direction, target=target, **options)
        self.servers.append(server)
        address = server.listen("127.0.0.1", 0)
        return server, (address.host, address.port)

    def until(self, truth: Callable[[], object]) -> None:
        assert self.loop.run_until(lambda: bool(truth()), 10.0 * patience())

    def connect(self, address: tuple[str, int]) -> End:
        link = RawConnection(socket.create_connection(address))
        self.links.append(link)
        return End(link)

    def connect_secure(
        self, address: tuple[str, int], *, tls: ssl.SSLContext, server_name: str
    ) -> End:
        """After its handshake."""
        plain = socket.create_connection(address)
        link = TlsConnection.over(plain, tls, server_name=server_name)
        self.links.append(link)
        self.until(link.sock.shake)
        return End(link)

    def accept(self, listener: RawListener) -> End:
        """The next connection to an endpoint, which is made while the loop runs."""
        listener.sock.setblocking(False)
        found: list[RawConnection] = []

        def come() -> bool:
            try:
                found.append(RawConnection(listener.sock.accept()[0]))
            except BlockingIOError:
                return False
            return True

        self.until(come)
        self.links += found
        return End(found[0])

    def ask(self, target: Target, table: TargetTable, **options: Any) -> Seen:
        """A request of Python's."""
        seen = Seen()

        def note(name: str) -> Callable[..., None]:
            return lambda *arguments: seen.events.append((name, *arguments))

        seen.request = LocalClient(table).request(
            target,
            **{"authority": b"a.test", **options},
            on_head=note("head"),
            on_body=note("body"),
            on_end=note("end"),
            on_reset=note("reset"),
        )
        return seen

    def metrics(self) -> str:
        return b"".join(self.registry.render()).decode()

    def close(self) -> None:
        for server in self.servers:
            server.drain()
            server.abort_all()
        for table in self.tables:
            table.close()
        for link in self.links:
            link.close()
        settle(self.loop)
        # Whoever still holds this rig holds nothing of the engine.
        self.servers.clear()
        self.tables.clear()
