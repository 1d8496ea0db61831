"""A whole proxy whose policy has routes of TLS, by the name that a client asks for, or of opaque bytes: where
connections go, once each, and as what they count.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.support import policy_stub as stub
from tests.support.client_hello import (
    client_context,
    extensions,
    hello_of,
    in_records,
    message,
    named,
)
from tests.support.destination_messages import add
from tests.support.origin import talk
from tests.support.outbound_rig import OUTSIDE, SERVICE, V2, WEB, Rig, rig
from tests.support.policy_stub import backend
from tests.support.wait import eventually_async

NOBODY: Final = "nobody.shop.svc.cluster.local:80"
PLAIN: Final = b"\x00 bytes of a protocol of their own"


@dataclass
class Listener:
    """Takes whatever comes, and says who it is."""

    name: bytes
    address: tuple[str, int] = ("", 0)
    got: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(b"")
        number = len(self.got) - 1
        while piece := await reader.read(1 << 16):
            self.got[number] += piece
            writer.write(self.name)
        writer.close()


@dataclass
class Shop:
    made: Rig
    web: Listener
    v2: Listener

    async def ask(self, wire: bytes) -> bytes:
        """Who answers; empty for a reset."""
        return (await talk(self.made.proxy.static(), wire, until=b"."))[:3]

    async def closes(self, family: str) -> dict[str, float]:
        """Connections by what they ended of; nothing where there is none."""
        found: dict[str, float] = {}
        text = (await self.made.proxy.ask_admin("GET", "/metrics")).decode()
        for line in text.splitlines():
            if line.startswith(f"{family}_close_total{{"):
                error = line.partition('error="')[2].partition('"')[0]
                found[error] = found.get(error, 0) + float(line.rpartition(" ")[2])
        return {error: count for error, count in found.items() if count}

    async def counts(self, family: str, **ends: int) -> None:
        expected = {error.replace("well", ""): count for error, count in ends.items()}

        async def so() -> bool:
            return await self.closes(family) == expected

        await eventually_async(so)


@asynccontextmanager
async def shop(policy: Any, *, target: str = SERVICE, **variables: str) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(rig(policy, target=target, **variables))
        both = []
        for name in (b"web.", b"v2!."):
            listener = Listener(name)
            server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            listener.address = server.sockets[0].getsockname()[:2]
            both.append(listener)
        web, v2 = both
        made.destination.endpoints = {WEB: add(web.address), V2: add(v2.address)}
        yield Shop(made, web, v2)


def hello(name: str, **more: Any) -> bytes:
    return hello_of(client_context(**more), name)


BY_NAME: Final = stub.tls(
    WEB,
    stub.tls_route((backend(WEB), 1), snis=["*.shop.test"], name="endings"),
    stub.tls_route((backend(V2), 1), snis=["*.v2.shop.test", "shop.test"], name="longer"),
    stub.tls_route((backend(V2), 1), snis=["one.shop.test"], name="whole"),
    stub.tls_route((backend(WEB), 1), snis=["closed.shop.test"], name="closed", forbidden=True),
    stub.tls_route(
        (backend(V2), 1), snis=["gone.shop.test"], name="gone", invalid="Service not found gone"
    ),
    stub.tls_route(snis=["empty.shop.test"], name="empty"),
)


async def test_a_connection_follows_the_route_of_the_name_that_it_asks_for() -> None:
    async with shop(BY_NAME) as made:
        wanted = {
            "a.shop.test": b"web",
            "b.a.shop.test": b"web",
            "A.V2.Shop.Test": b"v2!",
            "shop.test": b"v2!",
            "one.shop.test": b"v2!",
            "closed.shop.test": b"",
            "gone.shop.test": b"",
            "empty.shop.test": b"",
            "else.test": b"",
        }
        for name, who in wanted.items():
            assert (name, await made.ask(hello(name))) == (name, who)
        # What was looked at has come as it was.
        first = hello("a.shop.test", alpn=["h2"], padded=True)
        assert await made.ask(first) == b"web"
        assert made.web.got[-1] == first
        await made.counts(
            "outbound_tls_route", well=6, forbidden=1, invalid_backend=1, unexpected=1
        )
        assert await made.closes("outbound_tcp_route") == {}


async def test_a_hello_may_come_in_pieces_and_odd_shapes() -> None:
    async with shop(BY_NAME) as made:
        odd = message(extensions((0xFAFA, b"grease"), named(b"one.shop.test"), (21, bytes(3000))))
        for wire in (in_records(odd, of=1), in_records(odd, of=7), hello("one.shop.test")):
            reader, writer = await asyncio.open_connection(*made.made.proxy.static())
            for at in range(0, len(wire), max(1, len(wire) // 64)):
                writer.write(wire[at : at + max(1, len(wire) // 64)])
                await writer.drain()
            assert await reader.readexactly(4) == b"v2!."
            writer.close()

            async def whole(wire: bytes = wire) -> bool:
                return made.v2.got[-1] == wire

            await eventually_async(whole)


@pytest.mark.parametrize(
    "wire",
    [
        PLAIN,
        b"GET / HTTP/1.1\r\nhost: one.shop.test\r\n\r\n",
        in_records(message(extensions())),
        in_records(message(extensions(named(b"one.shop.test"), named(b"one.shop.test")))),
    ],
)
async def test_what_asks_for_no_name_goes_nowhere(wire: bytes) -> None:
    async with shop(BY_NAME) as made:
        assert await made.ask(wire) == b""
        assert not made.web.got
        assert not made.v2.got
        assert await made.closes("outbound_tls_route") == {}
        text = await made.made.proxy.ask_admin("GET", "/metrics")
        assert b'outbound_tcp_errors_total{error="tls detection timeout"' in text


async def test_who_stalls_in_a_hello_is_let_go_of() -> None:
    policy = stub.tls(WEB, stub.tls_route((backend(WEB), 1)))
    async with rig(policy, OUTBOUND_DETECT_TIMEOUT="50ms") as made:
        assert await talk(made.proxy.static(), hello("a.test")[:-1], until=b".") == b""
        assert await talk(made.proxy.static(), b"", until=b".") == b""


async def test_without_names_a_route_means_every_name() -> None:
    rest = stub.tls_route((backend(V2), 1), name="rest")
    one = stub.tls_route((backend(WEB), 1), snis=["one.test"])
    async with shop(stub.tls(WEB, rest, one)) as made:
        assert await made.ask(hello("one.test")) == b"web"
        assert await made.ask(hello("other.test")) == b"v2!"
        assert await made.ask(PLAIN) == b""


@pytest.mark.parametrize("kind", ["tls", "opaque", "detected"])
async def test_connections_are_spread_by_weight(kind: str) -> None:
    backends = ((backend(WEB), 3), (backend(V2), 1))
    wire = PLAIN if kind != "tls" else hello("a.test")
    policy = stub.tls(WEB, stub.tls_route(*backends))
    if kind != "tls":
        route = stub.opaque_route(backend(WEB))
        rule = route.rules[0].backends
        rule.ClearField("first_available")
        for one, weight in backends:
            weighted = rule.random_available.backends.add(weight=weight)
            weighted.backend.backend.CopyFrom(one)
        policy = stub.opaque(WEB, route) if kind == "opaque" else stub.detected(WEB, opaque=route)
    async with shop(policy) as made:
        found = [await made.ask(wire) for _ in range(60)]
        assert set(found) == {b"web", b"v2!"}
        assert found.count(b"web") > found.count(b"v2!")
        family = "outbound_tls_route" if kind == "tls" else "outbound_tcp_route"
        await made.counts(family, well=60)


async def test_a_backend_that_is_away_fails_its_share_and_is_counted() -> None:
    policy = stub.tls(WEB, stub.tls_route((backend(NOBODY), 1)))
    async with rig(policy, OUTBOUND_CONNECT_TIMEOUT="1s") as made:
        made.destination.endpoints[NOBODY] = add(("127.0.0.1", 1))
        assert await talk(made.proxy.static(), hello("a.test"), until=b".") == b""
        text = await made.proxy.ask_admin("GET", "/metrics")
        assert b'route_name="tls",error="unexpected"} 1' in text


async def test_a_policy_that_changes_holds_for_the_connections_after_it() -> None:
    async with shop(BY_NAME) as made:
        reader, writer = await asyncio.open_connection(*made.made.proxy.static())
        writer.write(hello("one.shop.test"))
        assert await reader.readexactly(4) == b"v2!."
        made.made.policy.tell(SERVICE, stub.tls(WEB, stub.tls_route((backend(WEB), 1))))

        async def changed() -> bool:
            return await made.ask(hello("one.shop.test")) == b"web"

        await eventually_async(changed)
        # The one before is where it was.
        writer.write(b"more")
        assert await reader.readexactly(4) == b"v2!."
        writer.close()
        made.made.policy.tell(SERVICE, stub.opaque(WEB))

        async def opaque() -> bool:
            return await made.ask(PLAIN) == b"web"

        await eventually_async(opaque)
        # Nothing leads to the other any more.

        async def let_go() -> bool:
            return not made.made.destination.open_gets(V2)

        await eventually_async(let_go)


@pytest.mark.parametrize("target", [SERVICE, OUTSIDE])
async def test_why_a_connection_is_refused_is_in_the_log(
    target: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with shop(BY_NAME, target=target) as made:
            assert await made.ask(hello("gone.shop.test")) == b""
            assert await made.ask(hello("else.test")) == b""
    assert "Service not found gone" in caplog.text
    assert "no route of outbound policy means this connection" in caplog.text


async def test_a_target_that_is_forgotten_while_its_client_is_silent_has_its_routes_again() -> None:
    async with shop(BY_NAME, OUTBOUND_DISCOVERY_IDLE_TIMEOUT="50ms") as made:
        reader, writer = await asyncio.open_connection(*made.made.proxy.outbound)
        writer.write(f"CONNECT {V2} HTTP/1.1\r\nHost: {V2}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")

        async def forgotten() -> bool:
            return all(one.key != V2.encode() for one in made.made.proxy.targets("outbound"))

        await eventually_async(forgotten)
        writer.write(hello("closed.shop.test"))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert not made.v2.got


async def test_requests_get_no_further_than_connections() -> None:
    """A client of an HTTP proxy names what only TLS may go to."""
    async with shop(BY_NAME, target=WEB) as made:
        assert await made.ask(hello("a.shop.test")) == b"web"
        got = await made.made.proxy.get(f"http://{WEB}/")
        assert got.startswith(b"HTTP/1.1 404 ")
        tunnel = f"CONNECT {WEB} HTTP/1.1\r\nHost: {WEB}\r\n\r\n".encode()
        for name, who in (("one.shop.test", b"v2!."), ("closed.shop.test", b"")):
            got = await talk(made.made.proxy.outbound, tunnel + hello(name), until=b"v2!.")
            head, _, rest = got.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert rest == who
