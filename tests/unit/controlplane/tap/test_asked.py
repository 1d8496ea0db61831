"""The tap of a cluster as whoever asks its API server sees it: over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.tap.aggregated.asked import ENDED, ApiServerTap
from linkerd2_py.controlplane.tap.refusals import (
    BadRequestError,
    NotAllowedError,
    NotFoundError,
    NotReadyError,
    TapRefusedError,
    TooManyError,
)
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from tests.support.scripted_api_server import ScriptedApiServer, scripted_api_server
from tests.support.wait import in_time

DEADLINE_S = 30
USER = User("dashboard")
ASKED = TapRequest(kind=Kind.DEPLOYMENT, name="web", namespace="shop", path="/v", max_rps=5)
PATH = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/shop/deployments/web/tap"
WATCHING = {"notice": "watching", "pods": 1, "troubles": []}


class Said:
    """What the API server says of a watch, line by line, for as long as somebody hears it."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked: list[Any] = []
        self.gone = asyncio.Event()

    def say(self, *told: Any) -> None:
        for one in told:
            self.lines.put_nowait(one if isinstance(one, bytes) else json.dumps(one).encode())

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, await request.json()))
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while (line := await self.lines.get()) is not None:
                await response.write(line + b"\n")
        finally:
            self.gone.set()
        return response


@pytest.fixture
async def rig() -> AsyncIterator[tuple[ScriptedApiServer, ApiServer]]:
    async with scripted_api_server() as (server, api):
        yield server, api


@pytest.fixture
def said(rig: tuple[ScriptedApiServer, ApiServer]) -> Said:
    said = Said()
    rig[0].faults[PATH] = said.answer
    return said


@pytest.fixture
def tap(rig: tuple[ScriptedApiServer, ApiServer]) -> ApiServerTap:
    return ApiServerTap(rig[1])


async def soon(watch: Any) -> Any:
    return await in_time(anext(watch), DEADLINE_S)


async def test_whose_traffic_is_in_the_path_and_the_rest_in_the_body(
    tap: ApiServerTap, said: Said
) -> None:
    said.say(WATCHING)
    async with aclosing(await tap.watch(ASKED, user=USER)) as watch:
        assert await soon(watch) == WATCHING
    assert said.asked == [("POST", {"path": "/v", "max_rps": 5.0})]
    # Whoever watches no more is not told any more.
    await in_time(said.gone.wait(), DEADLINE_S)


async def test_what_is_told_is_passed_on_as_it_comes(tap: ApiServerTap, said: Said) -> None:
    said.say(WATCHING, b"", {"exchange": "1"}, b"no JSON", b"[" * 20_000, b"[7]")
    async with aclosing(await tap.watch(ASKED, user=USER)) as watch:
        assert await soon(watch) == WATCHING
        assert await soon(watch) == {"exchange": "1"}
        said.say({"notice": "lost", "events": 7}, {**WATCHING, "pods": 2}, {"exchange": "2"})
        heard = [await soon(watch) for _ in range(3)]
        assert {"notice": "lost", "events": 7} in heard
        assert {**WATCHING, "pods": 2} in heard
        assert heard[-1] == {"exchange": "2"}
        said.say({"notice": "ended", "reason": "enough"})
        assert await soon(watch) == {"notice": "ended", "reason": "enough"}


async def test_an_answer_that_breaks_off_ends_the_watch(tap: ApiServerTap, said: Said) -> None:
    said.say(WATCHING)
    async with aclosing(await tap.watch(ASKED, user=USER)) as watch:
        assert await soon(watch) == WATCHING
        said.lines.put_nowait(None)
        assert await soon(watch) == {"notice": "ended", "reason": ENDED}
        with pytest.raises(StopAsyncIteration):
            await soon(watch)


async def test_one_that_says_nothing_at_all_is_a_refusal(tap: ApiServerTap, said: Said) -> None:
    said.lines.put_nowait(None)
    with pytest.raises(NotReadyError, match=ENDED):
        await tap.watch(ASKED, user=USER)


@pytest.mark.parametrize(
    ("answered", "error", "told"),
    [
        ((403, 'User "x" cannot watch'), NotAllowedError, 'not allowed to watch calls: User "x"'),
        ((401, "Unauthorized"), NotAllowedError, "not allowed to watch calls: Unauthorized"),
        ((404, "there is no such deployment"), NotFoundError, "there is no such deployment"),
        ((404, ""), NotReadyError, "this cluster has no tap: the API tap.linkerd.io/v1alpha1"),
        ((400, "path: cannot be"), BadRequestError, "path: cannot be"),
        ((429, "too many watches"), TooManyError, "too many watches"),
        ((503, "error trying to reach service"), NotReadyError, "error trying to reach service"),
        ((500, "internal"), NotReadyError, "internal"),
    ],
)
async def test_a_refusal_says_what_the_api_server_said(
    rig: tuple[ScriptedApiServer, ApiServer],
    tap: ApiServerTap,
    answered: tuple[int, str],
    error: type[TapRefusedError],
    told: str,
) -> None:
    status, message = answered

    async def answer(_request: web.Request) -> web.StreamResponse:
        if not message:
            return web.Response(status=status, text="404 page not found")
        return web.json_response({"kind": "Status", "message": message}, status=status)

    rig[0].faults[PATH] = answer
    with pytest.raises(error) as refused:
        await tap.watch(ASKED, user=USER)
    assert type(refused.value) is error
    assert str(refused.value).startswith(told)


async def test_a_server_that_is_away_is_a_refusal() -> None:
    api = ApiServer(client.Configuration(host="http://127.0.0.1:1"))
    try:
        with pytest.raises(NotReadyError):
            await ApiServerTap(api).watch(ASKED, user=USER)
    finally:
        await api.close()
