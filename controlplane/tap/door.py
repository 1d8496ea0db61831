"""What all doors over HTTP share, and the one of the public API: `POST /api/v1/tap`."""

from __future__ import annotations

import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from linkerd2_py.controlplane.public_api.connections import ENDLESS
from linkerd2_py.controlplane.tap.lines import MEDIA_TYPE, lines_of
from linkerd2_py.controlplane.tap.refusals import BadRequestError, TapRefusedError
from linkerd2_py.controlplane.tap.request import LARGEST_BODY_BYTES, TapRequest
from linkerd2_py.controlplane.tap.tap import Tap, User, Watch

PATH: Final = "/api/v1/tap"
_TOKEN_HOLDER: Final = User("token")


class UnauthorizedError(TapRefusedError):
    """Who asks has not said who that is."""

    status = 401


class WatchResponse(StreamingResponse):
    """A watch as lines of JSON, which ends when nobody reads it any more."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(lines_of(watch), media_type=MEDIA_TYPE)
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[ENDLESS] = True
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Who has gone before the first line never began to iterate.
            await self._watch.aclose()


async def body_of(request: Request) -> bytes:
    """BadRequestError for one that no request for a watch needs."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            raise BadRequestError(f"the request is longer than {LARGEST_BODY_BYTES} bytes")
    return bytes(body)


def refused(error: TapRefusedError) -> Response:
    """One line of JSON."""
    return JSONResponse({"error": " ".join(str(error).split())}, status_code=error.status)


def tap_route(tap: Tap, *, token: str) -> Route:
    """For whoever has the token of this mesh; without one nobody is let in."""

    async def watch(request: Request) -> Response:
        try:
            _check(request, token=token)
            asked = TapRequest.read(await body_of(request))
            return WatchResponse(await tap.watch(asked, user=_TOKEN_HOLDER))
        except TapRefusedError as error:
            return refused(error)

    return Route(PATH, watch, methods=["POST"])


def _check(request: Request, *, token: str) -> None:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode(), token.encode())
    if not token or kind.lower() != "bearer" or not known:
        raise UnauthorizedError(
            "not allowed to watch: the token of this mesh is in its state directory, for its own user"
        )
