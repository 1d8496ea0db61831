"""The traffic: a tireless voter that opens the page, votes, chats, and listens to the feed.

It answers GET /stats with what it has done, which the page shows.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.local.sample import serving
from linkerd2_py.controlplane.local.sample.emoji import CATALOGUE
from linkerd2_py.controlplane.local.sample.voting import FAULTY

VOTE_EVERY_S: Final = 0.2
CHAT_EVERY_S: Final = 1.0
FEED_LINES: Final = 20
"""Lines read before the feed is opened anew, so that connections come and go."""
FAULTY_SHARE: Final = 0.2
logger = logging.getLogger("linkerd2_py.sample.vote_bot")


class Bot:
    """One voter; `done` counts what it did, `failed` what did not work."""

    def __init__(self, *, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._web = httpx2.AsyncClient(
            base_url=f"http://{serving.address_of('web-svc')}", trust_env=False, timeout=5
        )

    async def vote(self) -> None:
        """Open the page, then vote as a person would."""
        (await self._web.get("/")).raise_for_status()
        choice = self._choose()
        (await self._web.post(f"/api/vote/{choice}")).raise_for_status()
        self.done["votes"] += 1

    async def chat(self) -> None:
        """Say a line over a WebSocket and wait until it comes back."""
        address = f"ws://{serving.address_of('chat-svc')}/ws"
        async with connect(address, proxy=None, open_timeout=5) as room:
            text = f"the bot has voted {self.done['votes']} times"
            await room.send(text)
            heard = None
            while heard != text:
                async with asyncio.timeout(5):
                    heard = await room.recv()
        self.done["messages"] += 1

    async def listen(self) -> None:
        """Read some lines of the TCP feed, which speaks first."""
        host, _, port = serving.address_of("feed-svc").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for _ in range(FEED_LINES):
                async with asyncio.timeout(10):
                    line = await reader.readline()
                if not line:
                    raise ConnectionError("the feed ended")
                self.done["lines"] += 1
        finally:
            writer.close()

    def _choose(self) -> str:
        if self._random.random() < FAULTY_SHARE:
            return FAULTY
        return self._random.choice([code for code in CATALOGUE if code != FAULTY])


async def repeat(
    step: Callable[[], Awaitable[None]], *, every_s: float, failures: Counter[str]
) -> None:
    """Do `step` for ever; what fails is counted, logged and tried again."""
    while True:
        try:
            await step()
        except (httpx2.HTTPError, WebSocketException, OSError, TimeoutError, EOFError) as error:
            failures["failed"] += 1
            logger.warning("%s failed: %r", getattr(step, "__name__", "step"), error)
            await asyncio.sleep(every_s)
        await asyncio.sleep(every_s)


async def main() -> None:
    at = serving.replica()
    bot = Bot(seed=7)

    async def stats(_request: Request) -> JSONResponse:
        return JSONResponse(dict(bot.done))

    stop = serving.stop_signal()
    steps = [(bot.vote, VOTE_EVERY_S), (bot.chat, CHAT_EVERY_S), (bot.listen, CHAT_EVERY_S)]
    tasks = [
        supervise(partial(repeat, step, every_s=every, failures=bot.done), name=step.__name__)
        for step, every in steps
    ]
    await serving.serve_http(Starlette(routes=[Route("/stats", stats)]), at=at, stop=stop)
    await cancel_all(tasks)


if __name__ == "__main__":
    serving.run(main())
