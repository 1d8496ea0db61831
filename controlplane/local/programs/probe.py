"""Questions to a process: does it accept connections, does it answer 2xx? And if not, what does it do
instead?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.logs import printable
from linkerd2_py.controlplane.local.place.netns import socket_in

TIMEOUT_S: Final = 1.0
_HEAD_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Probe:
    """A question: connect, and with a `path` also GET it. With `netns` it is asked inside that network
    namespace.
    """

    host: str
    port: int
    path: str = ""
    netns: str = ""

    async def answered(self) -> bool:
        """Whether the answer came in time and was yes; never raises for what the peer does."""
        return not await self.refusal()

    async def refusal(self) -> str:
        """Empty for yes, else in a few words what came instead; never raises for what the peer does."""
        where = self._where
        asked = f"GET {self.path} on {where}" if self.path else where
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await self._connect()
        except (OSError, TimeoutError):
            return f"nothing answers on {where}"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._ask(reader, writer)
        except TimeoutError:
            return f"{asked} is not answered within {TIMEOUT_S:g}s"
        except (OSError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            return f"{asked} is not answered in HTTP"
        return "" if status.startswith("2") else f"{asked} is answered {status}"

    @property
    def _where(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        try:
            return await self._get(reader, writer) if self.path else "2"
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not self.netns:
            return await asyncio.open_connection(self.host, self.port, limit=_HEAD_LIMIT)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket_in(self.netns, family=family, kind=socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003  # a method of the standard library
            await asyncio.get_running_loop().sock_connect(sock, (self.host, self.port))
        except BaseException:
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock, limit=_HEAD_LIMIT)

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """The status of the answer, or the word that stands where HTTP has one."""
        head = f"GET {self.path} HTTP/1.1\r\nHost: {self._where}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        status_line = await reader.readuntil(b"\n")
        words = status_line.split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            return "in something other than HTTP/1"
        return printable(words[1].decode("ascii", "replace")[:20])
