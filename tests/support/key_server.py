"""A real HTTP server that answers with a set of keys, or as a test wants it."""

import asyncio
import ssl
from types import TracebackType
from typing import Self


class KeyServer:
    """async with KeyServer(text) as server: … server.url"""

    def __init__(
        self, text: str, *, chunked: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self.text = text
        self.raw: bytes | None = None
        self.asked = 0
        self.held = asyncio.Event()
        self.held.set()
        self._chunked = chunked
        self._tls = tls
        self._port = 0

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}/keys?of=shop"

    async def start(self) -> None:
        """On the same port as before, if there was one."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held.set()
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"GET /keys?of=shop HTTP/1.1\r\n")
            self.asked += 1
            await self.held.wait()
            writer.write(self._answer() if self.raw is None else self.raw)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self) -> bytes:
        body = self.text.encode()
        if not self._chunked:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        parts = [body[:10], body[10:]]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
