"""Keeps gRPC's own poller alive over all tests of a folder: its socket pair is the library's, not a leak of
ours. A folder's conftest imports the fixture.
"""

import asyncio
from collections.abc import Iterator

import grpc
import pytest


@pytest.fixture(scope="session", autouse=True)
def grpc_poller() -> Iterator[None]:
    async def initialise() -> None:
        grpc.aio.init_grpc_aio()

    asyncio.run(initialise())
    yield
    grpc.aio.shutdown_grpc_aio()
