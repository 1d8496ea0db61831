"""A whole proxy, one of whose routes leaves endpoints alone for their failures while others go on, and what its
admin server says of each.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.integration.proxy.test_failure_accrual import V2, WEB, Rig, accrual, rig
from tests.support.origin import talk
from tests.support.policy_stub import backend, detected, outbound_route
from tests.support.wait import eventually_async


def broken(route: outbound.HttpRoute, *, failures: int = 1) -> outbound.HttpRoute:
    said = route.failure_accrual.consecutive_failures
    said.max_failures = failures
    said.backoff.min_backoff.seconds = said.backoff.max_backoff.seconds = 3600
    return route


def routes(**both: outbound.HttpRoute) -> outbound.OutboundPolicy:
    """Of requests to /strict and to all else."""
    policy = detected(WEB)
    for one in (policy.protocol.detect.http1, policy.protocol.detect.http2):
        del one.routes[:]
        one.routes.extend(both.values())
    return policy


async def ask(made: Rig, path: str) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".encode()
    return int((await talk(made.proxy.static(), request)).split()[1])


async def states(made: Rig) -> list[dict[str, Any]]:
    """What the admin server says of the targets that have endpoints."""
    request = b"GET /endpoints.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = await talk(made.proxy.admin, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    if b"chunked" in head:
        body = dechunked(body)
    return [one for one in json.loads(body)["targets"] if one["endpoints"]]


def dechunked(body: bytes) -> bytes:
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        found += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return found


async def opened(made: Rig, path: str) -> None:
    async def so() -> bool:
        await asyncio.gather(*(ask(made, path) for _ in range(8)))
        return made.changes().get("open") == 1

    await eventually_async(so)


@pytest.mark.parametrize("name", [V2, WEB])
async def test_a_route_has_breakers_of_its_own(name: str) -> None:
    """Also where it leads to the service itself."""
    policy = routes(
        strict=broken(outbound_route(backend(name), name="strict", path="/strict")),
        other=outbound_route(backend(name), name="other", path="/other"),
    )
    async with rig(policy, service=name) as made:
        await opened(made, "/strict")
        assert [await ask(made, "/strict") for _ in range(20)] == [200] * 20
        before = len(made.bad.heads)
        await asyncio.gather(*(ask(made, "/other") for _ in range(16)))
        assert len(made.bad.heads) > before
        shown = [sorted(one["state"] for one in each["endpoints"]) for each in await states(made)]
        assert ["open", "ready"] in shown and ["ready", "ready"] in shown
        out = [one for each in await states(made) for one in each["endpoints"] if one["open_s"]]
        host, port = made.bad.address
        assert [one["address"] for one in out] == [f"{host}:{port}"]
        assert 3000 < out[0]["open_s"] <= 3600


async def test_a_route_that_has_none_though_its_service_has() -> None:
    never = broken(outbound_route(backend(V2), name="never", path="/never"), failures=0)
    other = outbound_route(backend(V2), name="other", path="/other")
    async with rig(accrual(routes(never=never, other=other)), service=V2) as made:
        await opened(made, "/other")
        before = len(made.bad.heads)
        await asyncio.gather(*(ask(made, "/never") for _ in range(16)))
        assert len(made.bad.heads) > before
        assert made.changes()["open"] == 1


async def test_a_policy_whose_route_says_so_no_more() -> None:
    strict = outbound_route(backend(V2), name="strict", path="/")
    async with rig(routes(strict=broken(strict)), service=V2) as made:
        await opened(made, "/")
        plain = outbound_route(backend(V2), name="strict", path="/")
        made.policy.tell("10.96.0.1:80", routes(strict=plain))

        async def all_are_used() -> bool:
            await asyncio.gather(*(ask(made, "/") for _ in range(8)))
            ends = [one for each in await states(made) for one in each["endpoints"]]
            return bool(ends) and all(one["state"] == "ready" for one in ends)

        await eventually_async(all_are_used)


async def test_what_makes_no_sense_is_a_policy_that_cannot_be_used() -> None:
    strict = broken(outbound_route(backend(V2), name="strict", path="/"))
    strict.failure_accrual.consecutive_failures.backoff.max_backoff.seconds = 1
    async with rig(routes(strict=strict), service=V2) as made:
        assert await ask(made, "/") == 500
