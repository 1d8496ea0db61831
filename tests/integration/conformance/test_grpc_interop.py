"""gRPC's own interop suite, with grpc-go at both ends: what passes without proxies passes through them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.support.conformance import needs_conformance, output_of, plain_environment, program
from tests.support.engine import engine
from tests.support.ports import free_port, is_listening
from tests.support.wait import eventually_async
from tests.support.ways import every_way, way_to

pytestmark = needs_conformance()

# All that need no credentials of a cloud and no balancer of the client's.
CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
)


@contextlib.asynccontextmanager
async def interop_server() -> AsyncIterator[tuple[str, int]]:
    port = free_port()
    running = await asyncio.create_subprocess_exec(
        program("interop-server"),
        f"--port={port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=plain_environment(),
    )
    try:
        await eventually_async(lambda: is_listening(("127.0.0.1", port)), what="the interop server")
        yield ("127.0.0.1", port)
    finally:
        running.kill()
        await running.wait()


async def play(case: str, address: tuple[str, int]) -> str:
    """Nothing when it passed, else what the client said."""
    host, port = address
    status, printed = await output_of(
        "interop-client",
        f"--server_host={host}",
        f"--server_port={port}",
        f"--test_case={case}",
        deadline_s=60,
    )
    return printed if status else ""


async def test_every_case_passes_without_a_proxy() -> None:
    async with interop_server() as server:
        failed = {case: said for case in CASES if (said := await play(case, server))}
    assert not failed


@every_way
async def test_every_case_passes_through_proxies(way: str) -> None:
    async with engine() as made, interop_server() as server:
        address = way_to(made, server, way=way)
        failed = {case: said for case in CASES if (said := await play(case, address))}
    assert not failed
