"""Control planes that misbehave, disappear under load, or are no control planes; other loops and families."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import origin, talk
from tests.support.processes import Child
from tests.support.sidecar import InProcess, Sidecar, address_of, environment, sidecar
from tests.support.wait import eventually_async

WEB = "web.ns.svc.cluster.local"
PATH = f"{WEB}:80"
URL = f"http://{WEB}/"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@asynccontextmanager
async def workload() -> AsyncIterator[tuple[str, int]]:
    async with origin(lambda _head, _body: HELLO) as server:
        yield server.address


async def test_a_request_for_the_inbound_listener_itself_makes_no_connection() -> None:
    """Whoever reaches a listener on all addresses could otherwise have it connect to itself without end."""
    own = {"INBOUND_LISTEN_ADDR": "0.0.0.0:0", "INBOUND_IPS": "127.0.0.1"}
    async with sidecar(**own) as proxy:
        port = proxy.inbound[1]
        for url in (f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{proxy.outbound[1]}/"):
            answer = await proxy.get(url, via=("127.0.0.1", port))
            assert answer.startswith(b"HTTP/1.1 403 "), answer
        metrics = (await proxy.ask_admin("GET", "/metrics")).decode()
    assert 'tcp_open_total{direction="inbound",peer="dst"' not in metrics


class Callers:
    """Several clients that call without a break and count what went wrong."""

    def __init__(self, proxy: Sidecar, *, url: str = URL) -> None:
        self.good = 0
        self.bad: list[bytes] = []
        self._proxy, self._url = proxy, url

    async def __aenter__(self) -> Self:
        self._tasks = [spawn(self._call(), name=f"caller {number}") for number in range(8)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_all(self._tasks)

    async def _call(self) -> None:
        while True:
            answer = await self._proxy.get(self._url)
            if answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hello"):
                self.good += 1
            else:
                self.bad.append(answer)

    async def some_more(self, count: int = 50) -> None:
        aim = self.good + count
        await eventually_async(lambda: self.good >= aim or self.bad)


async def test_the_control_plane_dies_and_returns_under_load_without_one_failure() -> None:
    async with workload() as one, workload() as two, DestinationStub() as stub:
        stub.endpoints[PATH] = add(one)
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy, Callers(proxy) as callers:
            await callers.some_more()
            for endpoints in (add(two), add(one, two), add(one)):
                await stub.stop()
                await callers.some_more()
                stub.endpoints[PATH] = endpoints
                seen = stub.count(PATH)
                await stub.start()
                await eventually_async(lambda seen=seen: stub.count(PATH) > seen)  # type: ignore[misc]
                await callers.some_more()
            assert callers.bad == []


async def test_endpoints_come_and_go_under_load_without_one_failure() -> None:
    async with workload() as one, workload() as two, DestinationStub() as stub:
        stub.endpoints[PATH] = add(one)
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy, Callers(proxy) as callers:
            await callers.some_more()
            for _ in range(10):
                for endpoint in (two, one):
                    stub.endpoints[PATH] = add(endpoint)
                    seen = stub.count(PATH)
                    stub.open_gets(PATH)[0].end()
                    await eventually_async(lambda seen=seen: stub.count(PATH) > seen)  # type: ignore[misc]
                    await callers.some_more(5)
            assert callers.bad == []


class RawDestination(grpc.GenericRpcHandler):
    """Answers every call with the same bytes, whatever they mean."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.calls = 0

    def service(self, details: Any) -> Any:
        return grpc.unary_stream_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.calls += 1
        yield self.message
        await asyncio.Event().wait()


@asynccontextmanager
async def raw_control_plane(message: bytes) -> AsyncIterator[tuple[RawDestination, str]]:
    service = RawDestination(message)
    server = grpc.aio.server(options=[("grpc.max_send_message_length", 8 << 20)])
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def healthy(proxy: InProcess, server: tuple[str, int]) -> None:
    """Other traffic is untouched."""
    assert (await proxy.get(f"http://{server[0]}:{server[1]}/")).endswith(b"hello")


@pytest.mark.parametrize(
    "message", [b"\xff\xff\xff", bytes((4 << 20) + 1)], ids=["garbage", "too long"]
)
async def test_messages_that_cannot_be_read_are_survived(message: bytes) -> None:
    variables = {"OUTBOUND_HTTP_FAILFAST_TIMEOUT": "300ms"}
    async with (
        raw_control_plane(message) as (service, address),
        workload() as server,
        sidecar(DESTINATION_SVC_ADDR=address, **variables) as proxy,
    ):
        assert (await proxy.get(URL)).startswith(b"HTTP/1.1 504 ")
        await eventually_async(lambda: service.calls >= 4)
        await healthy(proxy, server)


async def test_a_web_server_is_no_control_plane() -> None:
    variables = {"OUTBOUND_HTTP_FAILFAST_TIMEOUT": "300ms"}
    async with (
        workload() as server,
        sidecar(DESTINATION_SVC_ADDR=f"{server[0]}:{server[1]}", **variables) as proxy,
    ):
        assert (await proxy.get(URL)).startswith(b"HTTP/1.1 504 ")
        await healthy(proxy, server)


async def test_the_control_plane_may_be_a_name() -> None:
    async with workload() as one, DestinationStub() as stub:
        stub.endpoints[PATH] = add(one)
        async with sidecar(DESTINATION_SVC_ADDR=f"localhost:{stub.port}") as proxy:
            assert (await proxy.get(URL)).endswith(b"hello")


async def test_both_families_listen() -> None:
    variables = {"OUTBOUND_LISTEN_ADDRS": "127.0.0.1:0,[::1]:0"}
    async with workload() as (host, port), sidecar(**variables) as proxy:
        for text in proxy.listeners["outbound"]:
            answer = await proxy.get(f"http://{host}:{port}/", via=address_of(text))
            assert answer.endswith(b"hello")


async def test_it_runs_without_uvloop(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['uvloop'] = None; sys.argv[1:] = []; "
        "from linkerd2_py.proxy.__main__ import main; sys.exit(main())"
    )
    env = environment()
    with Child.start([sys.executable, "-c", script], log=tmp_path / "log", env=env) as child:
        found = child.wait_for_line(r"listening outbound=(\S+) .*admin=(\S+)")
        proxy = Sidecar({"outbound": [found.group(1)], "admin": found.group(2)})
        async with workload() as (host, port):
            assert (await proxy.get(f"http://{host}:{port}/")).endswith(b"hello")
            assert (await proxy.ask_admin("GET", "/ready")).endswith(b"ready\n")
        assert await asyncio.to_thread(child.terminate) == 0


def test_the_modules_of_the_shell_do_not_reach_the_control_plane() -> None:
    script = (
        "import sys, linkerd2_py.proxy.run; "
        "print([name for name in sys.modules if name.startswith(('linkerd2_py.controlplane', 'linkerd2_py.cli'))])"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert out.stdout.strip() == "[]"


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that promises more than it sends and then hangs up."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(50_000))
        await writer.drain()
        await reader.read()
    writer.close()


async def test_the_end_of_the_grace_period_under_load_is_an_orderly_end(tmp_path: Path) -> None:
    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    argv = [sys.executable, "-m", "linkerd2_py.proxy"]
    async with server, DestinationStub() as stub:
        stub.endpoints[PATH] = add(server.sockets[0].getsockname())
        env = environment(
            SHUTDOWN_GRACE_PERIOD="50ms",
            OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={PATH}",
            DESTINATION_SVC_ADDR=stub.address,
        )
        with Child.start(argv, log=tmp_path / "log", env=env) as child:
            found = child.wait_for_line(r"outbound-static=([0-9.:]+)=")
            address = address_of(found.group(1))
            calls = [spawn(call_for_ever(address), name=f"call {number}") for number in range(30)]
            await asyncio.wait(calls, timeout=0.5)
            child.process.terminate()
            status = await asyncio.to_thread(child.wait)
            await cancel_all(calls)
            assert status == 0


async def call_for_ever(address: tuple[str, int]) -> None:
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.05):
                await talk(address, b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        await asyncio.sleep(0)
