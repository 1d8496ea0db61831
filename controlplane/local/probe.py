"""Questions to a process: does it accept connections, does it answer 2xx?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from linkerd2_py.controlplane.local.netns import socket_in

TIMEOUT_S: Final = 1.0
_HEAD_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Probe:
    """A question: connect, and with a `path` also GET it. With `netns` it is asked inside that network namespace."""

    host: str
    port: int
    path: str = ""
    netns: str = ""

    async def answered(self) -> bool:
        """Whether the answer came in time and was yes; never raises for what the peer does."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._ask()
        except (OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            return False

    async def _ask(self) -> bool:
        reader, writer = await self._connect()
        try:
            return await self._get(reader, writer) if self.path else True
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.netns:
            return await asyncio.open_connection(self.host, self.port, limit=_HEAD_LIMIT)
        sock = socket_in(self.netns, family=socket.AF_INET, kind=socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003  # a method of the standard library
            await asyncio.get_running_loop().sock_connect(sock, (self.host, self.port))
        except BaseException:
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock, limit=_HEAD_LIMIT)

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        host = f"{self.host}:{self.port}"
        head = f"GET {self.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        status_line = await reader.readuntil(b"\n")
        words = status_line.split()
        return len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1][:1] == b"2"
