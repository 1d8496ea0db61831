"""What clients of the control plane see when a part of it fails."""

import asyncio
import logging

import httpx2
import pytest
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.app import health_problem
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import SERVICE
from linkerd2_py.controlplane.public_api.moment import Moment
from linkerd2_py.controlplane.public_api.operations import Answer, Operation, Request
from linkerd2_py.controlplane.public_api.ring import SampleStore
from linkerd2_py.controlplane.public_api.scraper import Scraper
from linkerd2_py.controlplane.public_api.selfcheck import self_check
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.web import web_app
from linkerd2_py.controlplane.registry.registry import Registry
from linkerd2_py.controlplane.registry.types import Pod


async def test_health_says_when_destination_is_not_served() -> None:
    api = ProxyApi(Destination(Registry(), metrics=CollectorRegistry()))
    api.bind()
    address = await api.start()
    assert await health_problem(address) == ""
    await api._health.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    assert await health_problem(address) == f"{address}: does not serve {SERVICE}"
    await api.stop(grace_s=0)
    assert (await health_problem(address)).startswith(f"{address}: ")


async def test_self_check_shows_what_the_proxy_api_lacks() -> None:
    async def problem() -> str:
        return "127.0.0.1:1: connection refused"

    registry = Registry()
    scraper = Scraper(registry, store=SampleStore())
    scraper.start()
    results = await self_check(
        mesh=registry.mesh, scraper=scraper, now=Moment(0.0, 0), proxy_api_problem=problem
    )
    await scraper.stop()
    assert results[1].as_json() == {
        "category": "linkerd-api",
        "description": "control plane can talk to the proxy-api",
        "status": "error",
        "message": "127.0.0.1:1: connection refused",
        "hint": "",
    }


async def test_a_proxy_that_is_new_is_not_late_yet() -> None:
    async def problem() -> str:
        return ""

    started = 1_700_000_000.0
    pod = Pod("shop", "web-0", "web", "127.0.0.1", admin_addr="127.0.0.1:1", started=started)
    registry = Registry()
    registry.apply(pods=[pod])
    scraper = Scraper(registry, store=SampleStore())
    scraper.start()
    messages = []
    for now in (started + 1, started + 60):
        results = await self_check(
            mesh=registry.mesh,
            scraper=scraper,
            now=Moment(now, int(now * 1000)),
            proxy_api_problem=problem,
        )
        messages.append(results[-1].message)
    await scraper.stop()
    assert messages == ["", "not read lately: shop/web-0"]


async def test_failing_operation_is_an_error_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_request: Request) -> Answer:
        raise RuntimeError("secret\ndetail")

    caplog.set_level(logging.ERROR)
    operation = Operation("/api/v1/broken", "Fails", "Broken", fail)
    server = WebServer(web_app([operation], metrics=CollectorRegistry()))
    address = await server.start()
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"http://{address}/api/v1/broken")
    await server.stop()
    assert response.status_code == 500
    assert response.json() == {"error": "internal error; see the log of the control plane"}
    assert "public-api failed on /api/v1/broken" in caplog.text


async def test_server_that_never_started_stops() -> None:
    await WebServer(web_app([], metrics=CollectorRegistry())).stop()


async def test_requests_under_way_are_answered_before_the_end() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_request: Request) -> Answer:
        entered.set()
        await leave.wait()
        return {"late": True}

    server = WebServer(web_app([Operation("/wait", "", "Wait", wait)], metrics=CollectorRegistry()))
    address = await server.start()
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
        request = group.create_task(client.get(f"http://{address}/wait"))
        await entered.wait()
        stopping = group.create_task(server.stop())
        leave.set()
        assert (await request).json() == {"late": True}
        await stopping
