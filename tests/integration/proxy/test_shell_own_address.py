"""A pod whose service's endpoint is the pod itself, in a mesh without interception: its inbound port listens
on that very address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.origin import origin
from tests.support.ports import free_address
from tests.support.sidecar import InProcess, sidecar

SERVICE = "self.ns.svc.cluster.local"


@asynccontextmanager
async def pod(workload: tuple[str, int]) -> AsyncIterator[InProcess]:
    """The workload behind an inbound port that discovery names, as meshed, when asked for the service."""
    own = free_address()
    listens = f"{own[0]}:{own[1]}"
    async with DestinationStub() as stub:
        stub.endpoints[f"{SERVICE}:80"] = add(own, h2=True)
        settings = {
            "DESTINATION_SVC_ADDR": stub.address,
            "INBOUND_IPS": own[0],
            "INBOUND_STATIC_PORTS": f"{listens}={workload[0]}:{workload[1]}",
            "OUTBOUND_STATIC_PORTS": f"127.0.0.1:0={SERVICE}:80",
        }
        async with sidecar(**settings) as proxy:
            yield proxy


async def _counted(proxy: InProcess) -> None:
    """Out as a plain server's, in as any other's: the call to itself is a call that both directions saw."""
    lines = (await proxy.ask_admin("GET", "/metrics")).decode().splitlines()
    total = [line for line in lines if line.startswith("request_total{")]
    outbound = [line for line in total if 'direction="outbound"' in line]
    inbound = [line for line in total if 'direction="inbound"' in line]
    assert [line.rpartition(" ")[2] for line in (*outbound, *inbound)] == ["1", "1"], total
    assert 'no_tls_reason="loopback"' in outbound[0]


async def test_http() -> None:
    seen: list[bytes] = []

    def answer(head: bytes, _: bytes) -> bytes:
        seen.append(head.lower())
        return b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nself"

    async with origin(answer) as workload, pod(workload.address) as proxy:
        assert (await proxy.get(f"http://{SERVICE}/")).endswith(b"self")
        await _counted(proxy)
    assert b"l5d-" not in seen[0]


async def test_grpc() -> None:
    async with echo_server() as workload, pod(workload.address) as proxy:
        client: Any
        async with echo_client(proxy.static()) as client:
            assert await client.unary(b"to myself") == b"to myself"
        await _counted(proxy)
