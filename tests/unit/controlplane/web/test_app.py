"""What the dashboard serves, and to whom: asked over real connections."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.web.app import Page, dashboard_app
from linkerd2_py.controlplane.web.asked import passed_on
from linkerd2_py.controlplane.web.bundle import Bundle

HOSTILE = "<script>alert(1)</script>"


async def _stat(request: Request) -> Response:
    return JSONResponse({"asked": str(request.query_params), "name": HOSTILE})


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>page")
    (tmp_path / "assets/app-1.js").write_text("code")
    (tmp_path / "secret.txt").write_text("beside")
    return Bundle(tmp_path)


class Served:
    """A dashboard that listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}"

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.get(path, headers=headers)


@pytest.fixture
async def served(bundle: Bundle) -> AsyncIterator[Served]:
    app = dashboard_app(
        api=[Route("/api/v1/stat", _stat)],
        page=Page(grafana="https://grafana.example/"),
        bundle=bundle,
        further=[WebSocketRoute("/api/tap", _echo)],
    )
    server = WebServer(app, name="web", websockets=True)
    yield Served(await server.start())
    await server.stop()


@pytest.mark.parametrize("path", ["/", "/edges", "/namespaces/a/deployments/b%2Fc"])
async def test_the_page_is_served_at_the_address_of_every_view(served: Served, path: str) -> None:
    answer = await served.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>page")
    assert answer.headers["cache-control"] == "no-cache"


async def test_nothing_inline_runs_and_nobody_may_frame_the_page(served: Served) -> None:
    for path in ("/", "/assets/app-1.js", "/api/v1/stat", "/api/page", "/no/such"):
        headers = (await served.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers
        assert "access-control-allow-origin" not in headers


async def test_assets_are_kept_for_good_and_nothing_else_is_served(served: Served) -> None:
    answer = await served.get("/assets/app-1.js")
    assert answer.text == "code"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    for path in ("/assets/..%2fsecret.txt", "/assets/secret.txt", "/assets/app-2.js"):
        assert "beside" not in (await served.get(path)).text


async def test_answers_of_the_public_api_have_the_same_origin(served: Served) -> None:
    answer = await served.get("/api/v1/stat?type=deploy")
    assert answer.json() == {"asked": "type=deploy", "name": HOSTILE}
    assert answer.headers["content-type"] == "application/json"
    unknown = await served.get("/api/v1/other")
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "no such path: /api/v1/other"}


async def test_the_page_is_told_where_it_is(served: Served) -> None:
    told = (await served.get("/api/page")).json()
    assert told["source"] == "local"
    assert told["grafana"] == "https://grafana.example/"
    assert told["tap"] is True


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(served: Served, method: str) -> None:
    async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as client:
        for path in ("/", "/api/v1/stat", "/api/page"):
            assert (await client.request(method, path)).status_code == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:50750", 200),
        ("127.0.0.1", 200),
        ("[::1]:1", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:50750", 403),
        ("", 403),
    ],
)
async def test_a_name_that_a_stranger_made_lead_here_is_refused(
    served: Served, host: str, status: int
) -> None:
    for path in ("/", "/api/v1/stat", "/assets/app-1.js"):
        answer = await served.get(path, {"host": host})
        assert answer.status_code == status
        if status == 403:
            assert "not answered under the name" in answer.text


@pytest.mark.parametrize(
    "origin", [None, "http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"]
)
async def test_a_strangers_page_opens_no_websocket(served: Served, origin: str | None) -> None:
    headers = {"origin": origin} if origin else {}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{served.address}/api/tap", additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_our_own_page_opens_one(served: Served) -> None:
    headers: dict[str, Any] = {"origin": served.url}
    async with connect(f"ws://{served.address}/api/tap", additional_headers=headers) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_without_a_page_it_says_how_one_is_built(tmp_path: Path) -> None:
    app = dashboard_app(api=[], page=Page(), bundle=Bundle(tmp_path))
    server = WebServer(app, name="web")
    served = Served(await server.start())
    try:
        answer = await served.get("/")
        assert answer.status_code == 503
        assert "./mesh build" in answer.text
        assert (await served.get("/api/page")).status_code == 200
    finally:
        await server.stop()


async def test_questions_are_passed_on_as_they_came_and_nothing_else_is() -> None:
    seen: list[httpx2.Request] = []

    def public_api(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if request.url.path.endswith("/html"):
            return httpx2.Response(200, html=HOSTILE)
        return httpx2.Response(400, json={"error": "no"})

    transport = httpx2.MockTransport(public_api)
    async with httpx2.AsyncClient(base_url="http://api", transport=transport) as client:
        server = WebServer(dashboard_app(api=[passed_on(client)], page=Page()), name="web")
        served = Served(await server.start())
        try:
            answer = await served.get("/api/v1/stat?type=a%26b&x=%3C", {"authorization": "secret"})
            assert (answer.status_code, answer.json()) == (400, {"error": "no"})
            html = await served.get("/api/v1/html")
            assert html.headers["content-type"] == "application/json"
        finally:
            await server.stop()
    assert seen[0].url.raw_path == b"/api/v1/stat?type=a%26b&x=%3C"
    assert "authorization" not in seen[0].headers


async def test_a_public_api_that_is_away_is_said_to_be() -> None:
    async with httpx2.AsyncClient(base_url="http://127.0.0.1:1", trust_env=False) as client:
        server = WebServer(dashboard_app(api=[passed_on(client)], page=Page()), name="web")
        served = Served(await server.start())
        try:
            answer = await served.get("/api/v1/stat")
            assert answer.status_code == 502
            assert "the public API does not answer" in answer.json()["error"]
        finally:
            await server.stop()
