"""Routes from live traffic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from linkerd2_py.cli.profiles.live import live_routes
from linkerd2_py.cli.watching import Asked, Told
from tests.support.tap_events import exchange


class Traffic:
    """Tells of requests, and then waits."""

    namespace = "emojivoto"

    def __init__(self, *events: Told) -> None:
        self._events = events

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    async def told(self, asked: Asked) -> AsyncGenerator[Told, None]:
        yield {"notice": "watching", "pods": 1, "troubles": []}
        for event in self._events:
            yield event
        await asyncio.Event().wait()

    def close(self) -> None:
        return None


SEEN = [
    *exchange("1", path="/vote?choice=:a:", method="POST"),
    *exchange("2", path="/vote", method="GET"),
    *exchange("3", path="/"),
    *exchange("4", path="/elsewhere", direction="OUTBOUND"),
    *exchange("5", path="/a.b", method="GET"),
    *exchange("6", path="/a.b", method="GET"),
]


async def test_what_comes_to_the_pods_becomes_routes() -> None:
    assert await live_routes(Traffic(*SEEN), {}, seconds=0.2, limit=20) == [
        {"name": "/a.b", "condition": {"method": "GET", "pathRegex": r"/a\.b"}},
        {"name": "GET /vote", "condition": {"method": "GET", "pathRegex": "/vote"}},
        {"name": "POST /vote", "condition": {"method": "POST", "pathRegex": "/vote"}},
    ]


async def test_as_many_as_may_be_are_enough() -> None:
    found = await live_routes(Traffic(*SEEN), {}, seconds=600, limit=1)
    assert [route["name"] for route in found] == ["/vote"]
