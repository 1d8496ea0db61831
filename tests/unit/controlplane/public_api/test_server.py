"""A server that finds its port taken."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from linkerd2_py.controlplane.errors import BindError
from linkerd2_py.controlplane.public_api.server import WebServer


async def test_it_may_be_started_at_another_port() -> None:
    first, second = WebServer(Starlette()), WebServer(Starlette())
    _, _, taken = (await first.start()).rpartition(":")
    try:
        with pytest.raises(BindError):
            await second.start(port=int(taken))
        assert await second.start() != first.address
    finally:
        await second.stop()
        await first.stop()
