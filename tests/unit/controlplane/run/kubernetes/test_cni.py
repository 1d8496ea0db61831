"""When an agent that ends takes everything along, and when it leaves its node as it is for the next one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.run.kubernetes.cni import is_uninstalled
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

DAEMON_SET = "/apis/apps/v1/namespaces/linkerd-cni/daemonsets/linkerd-cni"
NAMESPACE = "/api/v1/namespaces/linkerd-cni"
THERE: Json = {"metadata": {"name": "x"}}
GOING: Json = {"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.fixture
def answers() -> dict[str, Json | int]:
    """What an API server says at each path: an object, or a status."""
    return {DAEMON_SET: THERE, NAMESPACE: THERE}


@pytest.fixture
async def api(answers: dict[str, Json | int]) -> AsyncIterator[ApiServer]:
    async def answer(request: web.Request) -> web.Response:
        said = answers[request.path]
        if isinstance(said, int):
            return web.json_response({"message": "no"}, status=said)
        return web.json_response(said)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        asked = ApiServer(client.Configuration(host=str(server.make_url("")).rstrip("/")))
        yield asked
        await asked.close()


async def is_end(api: ApiServer) -> bool:
    return await is_uninstalled(api, namespace="linkerd-cni", daemon_set="linkerd-cni")


async def test_another_agent_will_come(api: ApiServer) -> None:
    assert not await is_end(api)


@pytest.mark.parametrize(
    ("path", "said", "end"),
    [
        (DAEMON_SET, GOING, True),
        (DAEMON_SET, 404, True),
        # The account went first, or what it may do.
        (DAEMON_SET, 401, True),
        (DAEMON_SET, 403, True),
        # Pods of a namespace may go before what would make them anew.
        (NAMESPACE, GOING, True),
        (NAMESPACE, 404, True),
        (DAEMON_SET, 500, False),
        (DAEMON_SET, 429, False),
        (NAMESPACE, 503, False),
        (DAEMON_SET, {"metadata": None}, False),
    ],
)
async def test_what_is_the_end_and_what_is_not_known(
    api: ApiServer, answers: dict[str, Json | int], path: str, said: Json | int, end: bool
) -> None:
    answers[path] = said
    assert await is_end(api) == end


async def test_an_api_server_that_is_away_is_no_end() -> None:
    api = ApiServer(client.Configuration(host="http://127.0.0.1:1"))
    assert not await is_end(api)
    await api.close()
