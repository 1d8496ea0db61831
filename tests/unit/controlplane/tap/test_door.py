"""`POST /api/v1/tap` of the public API, over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.web import web_app
from linkerd2_py.controlplane.tap import door
from linkerd2_py.controlplane.tap.events import Told
from linkerd2_py.controlplane.tap.lines import lines_of
from linkerd2_py.controlplane.tap.refusals import NotFoundError
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.tap.watcher import Watcher
from tests.support.wait import eventually_async, within

TOKEN = "a" * 64
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


class Scripted:
    """A tap whose watchers are in the test's hands."""

    def __init__(self) -> None:
        self.open: list[Watcher] = []
        self.asked: list[TapRequest] = []

    async def watch(self, request: TapRequest, *, user: User) -> Watcher:
        if request.name == "nobody":
            raise NotFoundError("no pods\nto tap")
        self.asked.append(request)
        watcher = Watcher(on_close=self.open.remove, on_lost=lambda _: None)
        self.open.append(watcher)
        watcher.show({"notice": "watching", "pods": 1, "troubles": []})
        return watcher


@pytest.fixture
async def tap() -> Scripted:
    return Scripted()


@pytest.fixture
async def client(tap: Scripted) -> AsyncIterator[httpx2.AsyncClient]:
    async with AsyncExitStack() as running:
        route = door.tap_route(tap, token=TOKEN)
        server = WebServer(web_app([], metrics=CollectorRegistry(), further=[route]))
        url = f"http://{await server.start()}"
        running.push_async_callback(server.stop)
        yield await running.enter_async_context(
            httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60)
        )


def event(text: str) -> Told:
    return {"path": text}  # type: ignore[return-value]


async def test_events_are_lines_as_they_come(tap: Scripted, client: httpx2.AsyncClient) -> None:
    async with (
        client.stream(
            "POST", door.PATH, headers=AUTHORIZED, json={"type": "deploy", "name": "web"}
        ) as response,
        within(20),
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = response.aiter_lines()
        assert json.loads(await anext(lines))["notice"] == "watching"
        tap.open[0].put(event("/ü\x1b[2J"))
        assert json.loads(await anext(lines)) == {"path": "/ü\x1b[2J"}
        tap.open[0].end("enough")
        assert json.loads(await anext(lines)) == {"notice": "ended", "reason": "enough"}
        assert [line async for line in lines] == []
    await eventually_async(lambda: not tap.open)


async def test_who_goes_watches_no_more(tap: Scripted, client: httpx2.AsyncClient) -> None:
    async with client.stream(
        "POST", door.PATH, headers=AUTHORIZED, json={"type": "deploy"}
    ) as response:
        assert await anext(response.aiter_lines())
        assert tap.open
    await eventually_async(lambda: not tap.open)


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        ({}, {"type": "po"}, 401, "the token of this mesh is in its state directory"),
        ({"authorization": "Bearer b"}, {"type": "po"}, 401, "not allowed to watch"),
        ({"authorization": f"Basic {TOKEN}"}, {"type": "po"}, 401, "not allowed to watch"),
        ({"authorization": "Bearer ü"}, {"type": "po"}, 401, "not allowed to watch"),
        (AUTHORIZED, {"type": "unicorn"}, 400, "cannot find Kubernetes canonical name"),
        (AUTHORIZED, {"type": "po", "path": "/" * 70_000}, 400, "longer than 65536 bytes"),
        (AUTHORIZED, {"type": "po", "name": "nobody"}, 404, "no pods to tap"),
    ],
)
async def test_what_is_refused_is_one_line_with_its_status(
    tap: Scripted,
    client: httpx2.AsyncClient,
    *,
    headers: dict[str, str],
    body: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    response = await client.post(door.PATH, headers=encoded, json=body)
    assert response.status_code == status
    assert reason in response.json()["error"]
    assert "\n" not in response.json()["error"]
    assert not tap.open


async def test_without_a_token_nobody_is_let_in(tap: Scripted) -> None:
    server = WebServer(
        web_app([], metrics=CollectorRegistry(), further=[door.tap_route(tap, token="")])
    )
    url = await server.start()
    try:
        async with httpx2.AsyncClient(trust_env=False) as client:
            for headers in ({}, {"authorization": "Bearer x"}):
                response = await client.post(
                    f"http://{url}{door.PATH}", headers=headers, json={"type": "po"}
                )
                assert response.status_code == 401
            response = await client.get(f"http://{url}{door.PATH}")
            assert response.json() == {"error": "only POST is allowed here"}
    finally:
        await server.stop()


async def test_silence_is_told_from_an_end(tap: Scripted) -> None:
    watch = await tap.watch(TapRequest.of({"type": "po"}), user=User("me"))
    lines = lines_of(watch, keepalive_s=0.01)
    assert b"watching" in await anext(lines)
    assert await anext(lines) == b"\n"
    watch.put(event("/a"))
    watch.put(event("/b"))
    assert await anext(lines) == b'{"path":"/a"}\n{"path":"/b"}\n'
    watch.end("over")
    assert b"ended" in await anext(lines)
    assert [one async for one in lines] in ([], [b""])
    assert not tap.open
