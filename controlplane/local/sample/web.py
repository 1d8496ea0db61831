"""The front end: HTTP/1, one page and a small JSON API over every other service.

All who look within half a second see the same view: the services are asked twice a second however
many people there are. Votes are passed on one by one.

A vote that the ballot box refuses is an answer here (`counted: false`), not an error: the fault
stays visible where it is, in `voting`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
import httpx2
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.local.sample import page, serving
from linkerd2_py.controlplane.local.sample.emoji import CATALOGUE
from linkerd2_py.controlplane.local.sample.gen import emojivoto_pb2 as pb
from linkerd2_py.controlplane.local.sample.shared import Shared
from linkerd2_py.controlplane.local.sample.voting import method_of

CALL_TIMEOUT_S = 5.0
VIEW_FRESH_S = 0.5
Reply = TypeVar("Reply", bound=Message)
logger = logging.getLogger("linkerd2_py.sample.web")


@dataclass(slots=True)
class Tally:
    """Totals over all voting replicas: each reply carries one replica's share."""

    shares: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, reply: pb.ResultsReply) -> None:
        self.shares[reply.pod] = {result.shortcode: result.votes for result in reply.results}

    def votes(self, shortcode: str) -> int:
        return sum(share.get(shortcode, 0) for share in self.shares.values())


@dataclass(frozen=True, slots=True)
class Rendered:
    """One view as the two bodies that are asked for."""

    html: bytes
    json: bytes


class Front:
    """The page and its API over channels to the four services."""

    def __init__(self) -> None:
        emoji = serving.open_channel("emoji-svc")
        voting = serving.open_channel("voting-svc")
        self._list = _method(emoji, "EmojiService/ListAll", pb.ListAllReply)
        self._find = _method(emoji, "EmojiService/FindByShortcode", pb.FindByShortcodeReply)
        self._results = _method(voting, "VotingService/Results", pb.ResultsReply)
        self._votes = {
            code: _method(voting, f"VotingService/{method_of(code)}", pb.VoteReply)
            for code in CATALOGUE
        }
        self._chat = _client("chat-svc")
        self._bot = _client("vote-bot-svc")
        self._tally = Tally()
        self._rendered = Shared(self._render, fresh_s=VIEW_FRESH_S, clock=SystemClock())

    async def show(self, request: Request) -> Response:
        return HTMLResponse((await self._rendered.get()).html)

    async def view(self, request: Request) -> Response:
        return Response((await self._rendered.get()).json, media_type="application/json")

    async def vote(self, request: Request) -> Response:
        """Count a vote; 404 for an emoji that is not in the catalogue."""
        choice = request.path_params["choice"]
        found = await self._find(pb.FindByShortcodeRequest(shortcode=choice))
        if choice not in self._votes or not found.emoji.shortcode:
            return JSONResponse({"counted": False, "reason": "no such emoji"}, status_code=404)
        try:
            reply = await self._votes[choice](pb.VoteRequest())
        except grpc.aio.AioRpcError as error:
            reason = f"{error.code().name}: {error.details()}"
            logger.info("vote for %s not counted: %s", choice, reason)
            return JSONResponse({"counted": False, "reason": reason})
        return JSONResponse({"counted": True, "votes": reply.votes})

    async def _render(self) -> Rendered:
        view = await self._view()
        return Rendered(html=page.render(view).encode(), json=json.dumps(view).encode())

    async def _view(self) -> page.View:
        listed, results, chat, bot = await asyncio.gather(
            self._list(pb.ListAllRequest()),
            self._results(pb.ResultsRequest()),
            self._chat.get("/recent"),
            self._bot.get("/stats"),
        )
        self._tally.add(results)
        return {
            "emoji": [
                {"code": e.shortcode, "text": e.text, "votes": self._tally.votes(e.shortcode)}
                for e in listed.emoji
            ],
            "messages": chat.json()["messages"] if chat.is_success else [],
            "bot": bot.json() if bot.is_success else {},
        }


async def healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def on_unavailable(request: Request, error: Exception) -> Response:
    """A service behind us did not answer: say which call, as 503."""
    logger.warning("%s %s: %r", request.method, request.url.path, error)
    return PlainTextResponse(f"a service did not answer: {error!r}\n", status_code=503)


def build() -> Starlette:
    """The application; channels are opened here, inside the running loop."""
    front = Front()
    return Starlette(
        routes=[
            Route("/", front.show),
            Route("/healthz", healthz),
            Route("/api/view", front.view),
            Route("/api/vote/{choice}", front.vote, methods=["POST"]),
        ],
        exception_handlers={
            grpc.aio.AioRpcError: on_unavailable,
            httpx2.HTTPError: on_unavailable,
        },
    )


def _encode(message: Message) -> bytes:
    return message.SerializeToString()


def _method(
    channel: grpc.aio.Channel, path: str, reply: type[Reply]
) -> Callable[[Message], Awaitable[Reply]]:
    """A unary method as a function from request to reply, with our deadline."""
    call = channel.unary_unary(
        f"/emojivoto.v1.{path}",
        request_serializer=_encode,
        response_deserializer=reply.FromString,
    )

    async def ask(request: Message) -> Reply:
        answer: Reply = await call(request, timeout=CALL_TIMEOUT_S)
        return answer

    return ask


def _client(service: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=f"http://{serving.address_of(service)}", trust_env=False, timeout=CALL_TIMEOUT_S
    )


async def main() -> None:
    await serving.serve_http(build(), at=serving.replica(), stop=serving.stop_signal())


if __name__ == "__main__":
    serving.run(main())
