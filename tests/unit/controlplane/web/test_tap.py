"""Live calls over a WebSocket: who is let in, what is told, and that a watch ends with its browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect

from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.refusals import NotFoundError
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.web.app import Page, dashboard_app
from linkerd2_py.controlplane.web.tap import holder_of, websocket_route

TOKEN = "the-token"
ASKED = {"type": "deploy", "name": "web", "namespace": "emojivoto"}
WATCHING: Told = {"notice": "watching", "pods": 1, "troubles": []}


class Watched:
    """What was put into it, and then nothing until it is closed."""

    def __init__(self, *told: Told) -> None:
        self._told = list(told)
        self.closed = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        if self._told:
            return self._told.pop(0)
        await self.closed.wait()
        raise StopAsyncIteration

    async def within(self, seconds: float) -> Sequence[Told] | None:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.closed.set()


class Tapped:
    """A `Tap` with one watch, which remembers who asked what."""

    def __init__(self, watch: Watched) -> None:
        self.watch_made = watch
        self.asked: list[tuple[TapRequest, User]] = []

    async def watch(self, request: TapRequest, *, user: User) -> Watched:
        if request.name == "gone":
            raise NotFoundError("there is no deployment\ngone")
        self.asked.append((request, user))
        return self.watch_made


@pytest.fixture
def tap() -> Tapped:
    return Tapped(Watched(WATCHING))


@pytest.fixture
async def url(tap: Tapped) -> AsyncIterator[str]:
    app = dashboard_app(api=[], page=Page(), further=[websocket_route(tap, admit=holder_of(TOKEN))])
    server = WebServer(app, name="web", websockets=True)
    yield await server.start()
    await server.stop()


def opened(address: str) -> connect:
    headers = {"origin": f"http://{address}"}
    return connect(f"ws://{address}/api/tap", additional_headers=headers)


async def ask(socket: ClientConnection, said: Any) -> dict[str, Any]:
    await socket.send(said if isinstance(said, str) else json.dumps(said))
    told: dict[str, Any] = json.loads(await socket.recv())
    return told


async def test_whoever_has_the_token_is_told_what_happens(url: str, tap: Tapped) -> None:
    async with opened(url) as socket:
        assert await ask(socket, {**ASKED, "token": TOKEN, "path": "/v"}) == WATCHING
    request, user = tap.asked[0]
    assert (request.kind, request.name, request.path) == (Kind.DEPLOYMENT, "web", "/v")
    assert user.name == "token"
    await asyncio.wait_for(tap.watch_made.closed.wait(), 30)


async def test_a_watch_that_ends_ends_the_connection(url: str, tap: Tapped) -> None:
    async with opened(url) as socket:
        await ask(socket, {**ASKED, "token": TOKEN})
        tap.watch_made.closed.set()
        await asyncio.wait_for(socket.wait_closed(), 30)
        assert socket.close_code == 1000


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (ASKED, "not allowed to watch calls: this page has no token, or an old one"),
        ({**ASKED, "token": "other"}, "not allowed to watch calls"),
        ({**ASKED, "token": 7}, "not allowed to watch calls"),
        ({**ASKED, "token": TOKEN, "name": "gone"}, "there is no deployment gone"),
        ({"token": TOKEN}, "type is missing"),
        ("[]", "the request is not a JSON object"),
        ("{", "the request is not JSON"),
        ("[" * 50_000, "the request is not JSON"),
        (" " * 70_000, "the request is not text, or too long"),
    ],
)
async def test_what_may_not_begin_is_said_in_one_line(
    url: str, tap: Tapped, said: Any, reason: str
) -> None:
    async with opened(url) as socket:
        told = await ask(socket, said)
        assert told["notice"] == "ended"
        assert told["reason"].startswith(reason)
        await asyncio.wait_for(socket.wait_closed(), 30)
        assert socket.close_code == 1008
    assert tap.asked == []


async def test_without_a_token_nobody_is_let_in() -> None:
    assert holder_of("")("") is None
