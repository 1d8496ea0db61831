"""A whole proxy, in this process or as a process of its own, on free loopback ports."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkerd2_py._ext.route.target import Target
from linkerd2_py.base import logs
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proxy.app import Proxy, build
from linkerd2_py.proxy.config.load import load
from linkerd2_py.proxy.log_level import LogLevel
from tests.support.engine import IO_URING
from tests.support.http1_client import Answer, Http1Client
from tests.support.origin import talk
from tests.support.processes import Child

PREFIX = "LINKERD2_PROXY_"
FREE = {
    "IDENTITY_DISABLED": "1",
    "OUTBOUND_LISTEN_ADDR": "127.0.0.1:0",
    "INBOUND_LISTEN_ADDR": "127.0.0.1:0",
    "ADMIN_LISTEN_ADDR": "127.0.0.1:0",
    "IO_URING": str(IO_URING).lower(),
    "LOG": "warn,linkerd=debug",
}


def environment(**variables: str) -> dict[str, str]:
    """The environment of a proxy on free ports."""
    return {PREFIX + name: value for name, value in {**FREE, **variables}.items()}


def address_of(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


@dataclass
class Sidecar:
    """Where a proxy listens, and how to talk through it."""

    listeners: Mapping[str, Any]

    @property
    def outbound(self) -> tuple[str, int]:
        return address_of(self.listeners["outbound"][0])

    @property
    def inbound(self) -> tuple[str, int]:
        return address_of(self.listeners["inbound"][0])

    @property
    def admin(self) -> tuple[str, int]:
        return address_of(self.listeners["admin"])

    def static(self, number: int = 0, *, direction: str = "outbound") -> tuple[str, int]:
        return address_of(self.listeners[f"{direction}_static"][number]["listen"])

    async def get(self, url: str, *, via: tuple[str, int] | None = None) -> bytes:
        """The whole answer to an absolute-form GET through the outbound port."""
        authority = url.removeprefix("http://").split("/")[0]
        wire = f"GET {url} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n"
        return await talk(via or self.outbound, wire.encode())

    async def ask_admin(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The whole answer of the admin server."""
        wire = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return await talk(self.admin, wire.encode() + body)

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """As `ask_admin`, for tests without a loop."""
        with Http1Client.connect(self.admin) as client:
            head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
            return client.request(head.encode() + body, method=method)


@dataclass
class InProcess(Sidecar):
    """A proxy on the test's own loop."""

    proxy: Proxy = field(kw_only=True)

    def targets(self, direction: str) -> list[Target]:
        """The targets of one direction."""
        return [
            target
            for table in self.proxy.parts.tables
            if table.direction == direction
            for target in table.targets()
        ]


@asynccontextmanager
async def sidecar(**variables: str) -> AsyncIterator[InProcess]:
    """A running proxy; it is drained and closed at the end."""
    config = load(environment(**{"SHUTDOWN_GRACE_PERIOD": "5s", **variables}))
    proxy = build(config, log_level=LogLevel(logs.DEFAULT_FILTER))
    running = spawn(proxy.run(), name="sidecar")
    try:
        yield InProcess(proxy.parts.listening.as_json(), proxy=proxy)
    finally:
        proxy.shut_down()
        await asyncio.wait([running])
        proxy.close()
    running.result()


@contextmanager
def sidecar_process(
    log: Path, *, descriptors: str = "", **variables: str
) -> Iterator[tuple[Sidecar, Child]]:
    """A proxy as a process of its own, once it serves; `descriptors`: the soft and the hard limit of those
    that it may open, as `64:256`.
    """
    limited = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
    argv = [*limited, sys.executable, "-m", "linkerd2_py.proxy"]
    with Child.start(argv, log=log, env=environment(**variables)) as child:
        admin = address_of(child.wait_for_line(r"listening .*admin=([0-9.]+:[0-9]+)").group(1))
        with Http1Client.connect(admin) as client:
            answer = client.request(b"GET /listeners HTTP/1.1\r\nhost: localhost\r\n\r\n")
        yield Sidecar(json.loads(answer.body)), child
