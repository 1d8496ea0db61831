"""The chat: WebSocket at /ws, the last messages as JSON at /recent, and a line feed over plain TCP.

The feed speaks first (a welcome line), which is why its port is declared opaque in mesh.yaml.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections import deque
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from linkerd2_py.controlplane.local.sample import serving

FEED_TARGET_PORT: Final = 9000
MESSAGE_LIMIT: Final = 200
HEARTBEAT_S: Final = 2.0
logger = logging.getLogger("linkerd2_py.sample.chat")


class Room:
    """Everyone connected, and the last few messages."""

    def __init__(self) -> None:
        self.recent: deque[str] = deque(maxlen=8)
        self._members: set[ServerConnection] = set()
        self._news = asyncio.Condition()
        self._closed = False

    async def join(self, member: ServerConnection) -> None:
        """Pass on what `member` says until it leaves."""
        self._members.add(member)
        try:
            async for message in member:
                await self.say(str(message)[:MESSAGE_LIMIT])
        except ConnectionClosed:
            logger.debug("a member left without a close frame")
        finally:
            self._members.discard(member)

    async def say(self, text: str) -> None:
        self.recent.append(text)
        broadcast(self._members, text)
        async with self._news:
            self._news.notify_all()

    async def close(self) -> None:
        """End every feed, so that the process can."""
        self._closed = True
        async with self._news:
            self._news.notify_all()

    async def feed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Write a welcome, then each message as a line, with a heartbeat between."""
        with contextlib.suppress(ConnectionError):
            writer.write(b"welcome to the feed\n")
            while not (self._closed or reader.at_eof()):
                await writer.drain()
                writer.write(await self._next_line())
        writer.close()

    async def _next_line(self) -> bytes:
        async with self._news:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._news.wait()
            except TimeoutError:
                return b"-\n"
        return b"" if self._closed else self.recent[-1].encode() + b"\n"


def answer_http(room: Room, connection: ServerConnection, request: Request) -> Response | None:
    """Plain HTTP on the WebSocket port; None lets the upgrade go on."""
    if request.path == "/ws":
        return None
    if request.path != "/recent":
        return connection.respond(HTTPStatus.NOT_FOUND, "only /ws and /recent are here\n")
    response = connection.respond(HTTPStatus.OK, json.dumps({"messages": list(room.recent)}))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


async def main() -> None:
    at = serving.replica()
    room = Room()
    stop = serving.stop_signal()
    feed_port = int(os.environ.get(f"PORT_{FEED_TARGET_PORT}", "0"))
    feed = await asyncio.start_server(room.feed, at.host, feed_port)
    async with serve(
        room.join, at.host, at.port, process_request=lambda c, r: answer_http(room, c, r)
    ):
        logger.info("%s listens on %s:%d, feed on %d", at.pod, at.host, at.port, feed_port)
        await stop.wait()
        feed.close()
        await room.close()


if __name__ == "__main__":
    serving.run(main())
