"""Two whole proxies, certified by the real identity service, told of each other by a destination service that
a test plays.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.certified import Certified, certified, name_in
from tests.support.destination_messages import remove, secured
from tests.support.destination_stub import DestinationStub
from tests.support.origin import Origin, origin, talk
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NAME = "voting-svc.emojivoto.svc.cluster.local:8080"
GET = b"GET / HTTP/1.1\r\nHost: voting-svc\r\nConnection: close\r\n\r\n"
UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: voting-svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
NOTHING: Mapping[str, str] = MappingProxyType({})
REFRESHES = 'control_identity_cert_refreshes_total{result="ok"}'


def answer(head: bytes, _body: bytes) -> bytes:
    if head.startswith(b"GET /chat"):
        # No upgrade: what matters is that each such request has an HTTP/1 connection, and a handshake, of its
        # own.
        return b"HTTP/1.1 400 no\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    return OK


@dataclass
class Pair:
    """`web` calls `voting`."""

    mesh: Certified
    server: Origin
    voting: InProcess
    web: InProcess
    destination: DestinationStub

    @property
    def door(self) -> tuple[str, int]:
        return self.web.static()

    async def ask(self, request: bytes = GET) -> bytes:
        return await talk(self.door, request, until=b"ok" if request == GET else b"no")


@asynccontextmanager
async def pair(
    folder: Path, *, renew: str = "24h", caller: Mapping[str, str] = NOTHING, **callee: str
) -> AsyncIterator[Pair]:
    often = {"IDENTITY_MAX_REFRESH": renew}
    async with (
        certified(folder) as mesh,
        origin(answer) as server,
        DestinationStub() as stub,
        sidecar(
            INBOUND_STATIC_PORTS=f"127.0.0.1:0={server.address[0]}:{server.address[1]}",
            INBOUND_IPS="127.0.0.1",
            **{**mesh.with_key("voting"), **often, **callee},
        ) as voting,
    ):
        host, port = voting.static(direction="inbound")
        stub.endpoints[NAME] = secured(host, port, identity=name_in("voting"))
        async with sidecar(
            OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={NAME}",
            DESTINATION_SVC_ADDR=stub.address,
            **{**mesh.with_key("web"), **often, **caller},
        ) as web:
            yield Pair(mesh, server, voting, web, stub)


async def metrics(proxy: InProcess) -> str:
    return (await proxy.ask_admin("GET", "/metrics")).decode()


async def value(proxy: InProcess, start: str) -> float:
    lines = [line for line in (await metrics(proxy)).splitlines() if line.startswith(start)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_a_call_is_made_as_somebody_to_somebody(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        got = await both.ask()
        assert got.startswith(b"HTTP/1.1 200")
        outbound, inbound = await metrics(both.web), await metrics(both.voting)
    assert b"l5d-client-id: " + name_in("web").encode() in both.server.heads[0].lower()
    assert f'tls="true",server_id="{name_in("voting")}"' in outbound
    assert f'tls="true",client_id="{name_in("web")}"' in inbound


async def test_a_tunnel_leads_to_the_workload_behind_a_static_port(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        assert (await both.ask()).startswith(b"HTTP/1.1 200")
        host, port = both.voting.static(direction="inbound")
        tunnel = both.voting.inbound[1]
        both.destination.send(
            NAME, secured(host, port, identity=name_in("voting"), tunnel_port=tunnel)
        )

        async def tunnelled() -> bool:
            assert (await both.ask()).startswith(b"HTTP/1.1 200")
            return f"{host}:{port}".encode() in [one.key for one in both.voting.targets("inbound")]

        await eventually_async(tunnelled)


async def test_certificates_change_twice_a_second_under_load_and_nothing_fails(
    tmp_path: Path,
) -> None:
    """With new connections all the while; then the identity service goes away for longer than a renewal, and
    comes back.
    """
    async with pair(tmp_path, renew="500ms") as both:
        answers: list[bytes] = []

        async def load() -> None:
            while True:
                answers.append((await both.ask(UPGRADE))[:12])
                answers.append((await both.ask())[:12])

        async def renewed(times: float) -> bool:
            refreshed = [await value(proxy, REFRESHES) for proxy in (both.web, both.voting)]
            return min(refreshed) >= times

        loads = [spawn(load(), name=f"load {number}") for number in range(3)]
        try:
            await eventually_async(lambda: renewed(3))
            await both.mesh.stop()
            before = await value(both.web, REFRESHES)
            errors = REFRESHES.replace("ok", "error")

            async def missed() -> bool:
                return await value(both.web, errors) >= 1

            await eventually_async(missed)
            await both.mesh.start()
            await eventually_async(lambda: renewed(before + 1))
        finally:
            await cancel_all(loads)
        opened = await value(both.web, 'tcp_open_total{direction="outbound",peer="dst",tls="true"')
    assert opened > 5
    assert set(answers) <= {b"HTTP/1.1 200", b"HTTP/1.1 400"}
    assert len(answers) > 20


async def test_an_address_that_somebody_else_has_now_gets_nothing(tmp_path: Path) -> None:
    """The pod's address was given to another workload before discovery has told."""
    async with pair(tmp_path) as both, origin(answer) as other:
        assert (await both.ask()).startswith(b"HTTP/1.1 200")
        async with sidecar(
            INBOUND_STATIC_PORTS=f"127.0.0.1:0={other.address[0]}:{other.address[1]}",
            **both.mesh.with_key("emoji"),
        ) as emoji:
            host, port = emoji.static(direction="inbound")
            both.destination.send(NAME, secured(host, port, identity=name_in("voting")))
            gone = both.voting.static(direction="inbound")
            both.destination.send(NAME, remove(gone))

            async def refused() -> bool:
                return not (await both.ask()).startswith(b"HTTP/1.1 200")

            await eventually_async(refused)
            assert not other.heads


@pytest.mark.parametrize(
    ("policy", "status"),
    [("all-authenticated", b"200"), ("deny", b"200"), ("all-unauthenticated", b"200")],
)
async def test_this_machine_is_let_in_under_every_policy(
    policy: str, status: bytes, tmp_path: Path
) -> None:
    """As in Linkerd: what connects from localhost could reach the workload itself."""
    async with pair(tmp_path, INBOUND_DEFAULT_POLICY=policy) as both:
        assert (await both.ask()).startswith(b"HTTP/1.1 " + status)


async def test_connections_leave_nothing_behind(tmp_path: Path) -> None:
    """Descriptors and memory stay level over many handshakes, good and broken ones."""

    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def resident() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def broken(address: tuple[str, int]) -> None:
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(40))
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with pair(tmp_path) as both:
        inbound = both.voting.static(direction="inbound")

        async def some(count: int) -> None:
            for _ in range(count):
                await asyncio.gather(*(both.ask(UPGRADE) for _ in range(5)), broken(inbound))

        await some(20)
        descriptors, memory = open_files(), resident()
        await some(60)

        async def level() -> bool:
            return open_files() <= descriptors + 8

        await eventually_async(level)
        assert resident() - memory < 8 << 20
