"""Live calls over a WebSocket: a browser asks once, and is told until it goes.

What it asks is a JSON object in the words of the public API's own `tap`, with a `token` beside. What it is
told are the events and notices of `tap.events`, each in a message; a refusal is the last of them.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.refusals import (
    BadRequestError,
    NotAllowedError,
    TapRefusedError,
)
from linkerd2_py.controlplane.tap.request import LARGEST_BODY_BYTES, TapRequest
from linkerd2_py.controlplane.tap.tap import Tap, User, Watch

PATH: Final = "/api/tap"
ASK_S: Final = 10.0
"""For the question, from the beginning of the connection."""
NORMAL: Final = 1000
REFUSED: Final = 1008

Admit = Callable[[str], User | None]
"""Who asks with this token; None: nobody whom we know."""


def holder_of(token: str) -> Admit:
    """Whoever has the token of this mesh; without one nobody is let in."""

    def admit(given: str) -> User | None:
        known = bool(token) and hmac.compare_digest(given.encode(), token.encode())
        return User("token") if known else None

    return admit


def anybody(_given: str) -> User:
    """Whoever reaches the page: for a tap that lets watch what this process may, and no more."""
    return User("dashboard")


def websocket_route(tap: Tap, *, admit: Admit) -> WebSocketRoute:
    """For browsers that `admit` knows. The guard before it has seen that the page is ours."""

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await _serve(socket, tap=tap, admit=admit)
        except WebSocketDisconnect:
            return

    return WebSocketRoute(PATH, serve)


async def _serve(socket: WebSocket, *, tap: Tap, admit: Admit) -> None:
    try:
        request, token = _read(await _question(socket))
        user = admit(token)
        if user is None:
            raise NotAllowedError(
                "not allowed to watch calls: this page has no token, or an old one"
            )
        watch = await tap.watch(request, user=user)
    except TapRefusedError as error:
        await _end(socket, " ".join(str(error).split()), code=REFUSED)
        return
    async with aclosing(watch):
        telling = spawn(_tell(socket, watch), name="tap-websocket")
        gone = spawn(_until_gone(socket), name="tap-websocket-end")
        try:
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_all([telling, gone])


async def _question(socket: WebSocket) -> str:
    try:
        async with asyncio.timeout(ASK_S):
            message = await socket.receive()
    except TimeoutError as error:
        raise BadRequestError(f"nothing was asked within {ASK_S:g} s") from error
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", NORMAL))
    text: str | None = message.get("text")
    if text is None or len(text) > LARGEST_BODY_BYTES:
        raise BadRequestError("the request is not text, or too long")
    return text


def _read(text: str) -> tuple[TapRequest, str]:
    """What is asked, and the token beside it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the request is not JSON") from error
    if not isinstance(said, dict):
        raise BadRequestError("the request is not a JSON object")
    token = said.pop("token", "")
    return TapRequest.of(said), token if isinstance(token, str) else ""


async def _tell(socket: WebSocket, watch: Watch) -> None:
    """Each as it comes. The socket waits for a browser that is slow, and the watch counts what is lost."""
    with suppress(WebSocketDisconnect):
        async for told in watch:
            await socket.send_text(_text(told))
        await socket.close(NORMAL)


async def _until_gone(socket: WebSocket) -> None:
    """A browser says nothing more; whatever it sends is read, so that its end is."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _end(socket: WebSocket, reason: str, *, code: int) -> None:
    await socket.send_text(_text({"notice": "ended", "reason": reason}))
    await socket.close(code)


def _text(told: Told) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
