"""Which plan requests follow: that of their target's table when they come, which may be none."""

import asyncio

import pytest

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.testing import Watching
from linkerd2_py._ext.policy.route_table import RouteTable
from tests.support.engine import engine

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def test_an_empty_table_has_no_plan() -> None:
    assert RouteTable().otherwise is None


def test_a_table_is_replaced_and_never_changed() -> None:
    table = RouteTable(otherwise=Plan())
    with pytest.raises(AttributeError):
        table.otherwise = None  # type: ignore[misc]


async def test_each_request_follows_the_table_of_its_time() -> None:
    """Over one connection, which the proxy routes once."""
    old, new = Watching(), Watching()
    tables = {
        "none": None,
        "empty": RouteTable(),
        "old": RouteTable(otherwise=Plan(observers=[old])),
        "new": RouteTable(otherwise=Plan(observers=[new])),
    }
    async with engine() as made:
        target, address = made.outbound()
        target.reject(404, "nobody")
        reader, writer = await asyncio.open_connection(*address)
        for name in ("none", "old", "empty", "new", "old", "none"):
            target.routes = tables[name]
            writer.write(REQUEST)
            assert b" 404 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert [what for what, *_rest in old.told] == ["request", "end"] * 2
    assert [what for what, *_rest in new.told] == ["request", "end"]
