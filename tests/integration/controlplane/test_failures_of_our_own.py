"""What clients of the control plane see when a part of it fails."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypedDict

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py.base.clock import ManualClock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.checks.control_plane import control_plane_checks
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.checks.samples import samples_checks
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.proxy_api import server as proxy_api_server
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import SERVICE, DestinationService
from linkerd2_py.controlplane.public_api import connections
from linkerd2_py.controlplane.public_api.connections import CONNECTIONS_MAX
from linkerd2_py.controlplane.public_api.operation import Nothing, Operation
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.web import web_app
from linkerd2_py.controlplane.run.health import health_problem
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh
from tests.support.wait import eventually_async, in_time, patience


async def test_health_says_when_destination_is_not_served() -> None:
    api = ProxyApi(
        [DestinationService(Destination(LocalMesh().store, metrics=CollectorRegistry())).served()]
    )
    api.bind()
    address = await api.start()
    assert await health_problem(address) == ""
    api._health.say(SERVICE, serves=False)
    assert await health_problem(address) == f"{address}: does not serve {SERVICE}"
    await api.stop(grace_s=0)
    assert (await health_problem(address)).startswith(f"{address}: ")


async def test_self_check_shows_what_the_proxy_api_lacks() -> None:
    async def problem() -> str:
        return "127.0.0.1:1: connection refused"

    results = await control_plane_checks(LocalMesh().mesh, proxy_api_problem=problem)
    assert results[1] == CheckResult(
        description="control plane can talk to the proxy-api",
        status="error",
        message="127.0.0.1:1: connection refused",
        hint="",
        category="linkerd-api",
    )


async def test_a_proxy_that_is_new_is_not_late_yet() -> None:
    async def problem() -> str:
        return ""

    started = 1_700_000_000.0
    pod = Replica("shop", "web-0", "web", "127.0.0.1", admin_addr="127.0.0.1:1", started=started)
    local_mesh, samples, clock = LocalMesh(), SampleStore(), ManualClock(epoch=started)
    local_mesh.apply(pods=[pod])
    scraper = Scraper(local_mesh.store, store=samples, clock=clock)
    scraper.start()
    messages = []
    for later_s in (1, 59):
        clock.advance(later_s)
        results = await samples_checks(
            local_mesh.mesh,
            metrics=EmbeddedStore(samples, clock=clock),
            reports=scraper,
            clock=clock,
            prometheus_problem=None,
        )
        messages.append(results[-1].message)
    await scraper.stop()
    assert messages == ["", "not read lately: shop/web-0"]


class Answer(TypedDict):
    """Of the operations here."""


async def test_failing_operation_is_an_error_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_asked: Nothing) -> dict[str, object]:
        raise RuntimeError("secret\ndetail")

    caplog.set_level(logging.ERROR)
    operation = Operation("/api/v1/broken", "Fails", Nothing, Answer, fail)
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

    async def wait(_asked: Nothing) -> dict[str, object]:
        entered.set()
        await leave.wait()
        return {"late": True}

    server = WebServer(
        web_app([Operation("/wait", "", Nothing, Answer, wait)], metrics=CollectorRegistry())
    )
    address = await server.start()
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
        request = group.create_task(client.get(f"http://{address}/wait"))
        await entered.wait()
        stopping = group.create_task(server.stop())
        leave.set()
        assert (await request).json() == {"late": True}
        await stopping


async def _answer(_asked: Nothing) -> dict[str, object]:
    return {"answered": True}


@contextlib.asynccontextmanager
async def _serving(
    run: Callable[[Nothing], Awaitable[dict[str, object]]],
) -> AsyncIterator[WebServer]:
    server = WebServer(
        web_app([Operation("/ask", "", Nothing, Answer, run)], metrics=CollectorRegistry())
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _connect(address: str, sent: bytes = b"") -> tuple[asyncio.StreamReader, Any]:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    return reader, writer


async def _drop(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.transport.abort()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _ended(reader: asyncio.StreamReader) -> bytes:
    """What was said until the connection ended, with an end or a reset."""
    with contextlib.suppress(ConnectionError):
        return await in_time(reader.read(), 30)
    return b""


_ASK = b"GET /ask HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET /ask HTTP/1.1\r\nHost: ", _ASK])
async def test_who_comes_is_served_however_many_others_are_there(sent: bytes) -> None:
    """More than may be: silent ones, ones in the middle of a head, ones that wait for an answer."""
    asked = []
    forever = asyncio.Event()

    async def run(asked_now: Nothing) -> dict[str, object]:
        asked.append(asked_now)
        if len(asked) <= many and sent == _ASK:
            await forever.wait()
        return {"answered": True}

    many = CONNECTIONS_MAX + 5
    async with _serving(run) as server:
        address = server.address
        others = [await _connect(address, sent) for _ in range(many)]
        if sent == _ASK:
            await eventually_async(lambda: len(asked) == many, deadline_s=30)
        async with httpx2.AsyncClient(trust_env=False, timeout=30 * patience()) as client:
            assert (await client.get(f"http://{address}/ask")).json() == {"answered": True}
        # Those who had waited longest made room.
        for reader, _ in others[:6]:
            assert await _ended(reader) == b""
        assert not others[-1][0].at_eof()
        forever.set()
        await _drop(*(writer for _, writer in others))


async def test_no_connection_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a head, for the rest of one, for the next request, and for a client that takes no answer."""
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(connections, "ANSWER_S", 0.2)

    async def much(_asked: Nothing) -> dict[str, object]:
        return {"much": "x" * 20_000_000}

    async with _serving(_answer) as server:
        for sent, answers in (
            (b"", 0),
            (b"GET /ask HTTP/1.1\r\nHost: ", 0),
            (_ASK + b"GET /", 1),
        ):
            reader, writer = await _connect(server.address, sent)
            assert (await _ended(reader)).count(b"200 OK") == answers
            await _drop(writer)
    async with _serving(much) as server:
        _, writer = await _connect(server.address, _ASK)
        writer.transport.pause_reading()
        held = server._server.server_state.connections
        await eventually_async(lambda: held, deadline_s=30)
        await eventually_async(lambda: not held, deadline_s=30)
        await _drop(writer)


@pytest.mark.parametrize("path", ["/ask", "/metrics", "/openapi.json", "/nowhere"])
async def test_a_stranger_s_name_is_not_answered(path: str) -> None:
    async with _serving(_answer) as server, httpx2.AsyncClient(trust_env=False) as client:
        address = server.address
        for host in ("attacker.example", "attacker.example:80", "localhost.attacker.example"):
            refused = await client.get(f"http://{address}{path}", headers={"host": host})
            assert refused.status_code == 403
            assert host in refused.json()["error"]
        for host in (address, "localhost", "localhost:7", "[::1]:7", "api.linkerd.svc"):
            answered = await client.get(f"http://{address}{path}", headers={"host": host})
            assert answered.status_code == (404 if path == "/nowhere" else 200)


async def test_silent_connections_to_the_proxy_api_end_and_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy_api_server, "CONNECTIONS_IN_ALL", 20)
    lowered = Limits(head_timeout_ns=1_000_000_000)
    monkeypatch.setattr(proxy_api_server, "_LIMITS", lowered)
    destination = Destination(LocalMesh().store, metrics=CollectorRegistry())
    server = ProxyApi([DestinationService(destination).served()])
    server.bind()
    address = await server.start()
    silent = [await _connect(address) for _ in range(30)]
    ends = [spawn(_ended(reader), name="silent") for reader, _ in silent]
    await eventually_async(lambda: sum(end.done() for end in ends) >= 10, deadline_s=30)
    await in_time(asyncio.gather(*ends), 30)
    assert await health_problem(address) == ""
    await _drop(*(writer for _, writer in silent))
    await server.stop()
