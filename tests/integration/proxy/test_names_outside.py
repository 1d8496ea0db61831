"""A whole proxy whose workload goes outside the mesh, by address or by name: each request follows the policy of
the address that it goes to, as our controller makes it of an EgressNetwork and its routes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.routes import (
    Backend,
    Failure,
    HTTPRoute,
    HTTPRule,
    Rule,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.client_hello import client_context, hello_of
from tests.support.cluster.outside import own_address
from tests.support.destination_messages import no_endpoints
from tests.support.dns_server import A, DnsServer, Rows
from tests.support.origin import talk
from tests.support.outbound_rig import OK, Rig, rig
from tests.support.outbound_shop import EVERYTHING, at, policy
from tests.support.policy_stub import detected
from tests.support.wait import eventually_async

NAMES: Final = ("good.test", "a.good.outside.test", "bad.test", "a.bad.outside.test")
ADDRESS: Final = "203.0.113.9"
TLS_SEEN: Final = b"tls."


def network(*, allows: bool, port: int, routes: tuple[Any, ...]) -> outbound.OutboundPolicy:
    """Of an address outside, whose network has these routes."""
    store = MeshStore()
    store.put(EgressNetwork("client", "all", allows=allows), *routes)
    return policy(store, at(ADDRESS, port=port))


def to_network(port: int) -> tuple[Backend, ...]:
    return (Backend("policy.linkerd.io", "EgressNetwork", "client", "all", port),)


def parent(port: int) -> Parent:
    return Parent("policy.linkerd.io", "EgressNetwork", "client", "all", port)


def http(port: int, *hosts: str) -> HTTPRoute:
    """Lets requests for these hosts go."""
    rule = HTTPRule(to_network(port), matches=EVERYTHING)
    return HTTPRoute(
        namespace="client", name="some", parents=(parent(port),), hostnames=hosts, rules=(rule,)
    )


def tls(port: int, *hosts: str) -> TLSRoute:
    """The same of TLS."""
    return TLSRoute(
        namespace="client",
        name="some",
        parents=(parent(port),),
        hostnames=hosts,
        rules=(Rule(to_network(port)),),
    )


def of(made: outbound.OutboundPolicy, host: str) -> outbound.OutboundPolicy:
    """The same of this address, which stands for one outside."""
    found = outbound.OutboundPolicy.FromString(made.SerializeToString())
    for one in _forwards(found):
        one.forward.addr.ip.ipv4 = int(ip_address(host))
    return found


def _forwards(message: Any) -> Iterator[outbound.Backend]:
    if isinstance(message, outbound.Backend):
        if message.WhichOneof("kind") == "forward":
            yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            several = not hasattr(value, "DESCRIPTOR")
            for one in value if several else (value,):
                yield from _forwards(one)


@dataclass
class Outside:
    made: Rig
    host: str
    port: int
    heads: list[bytes]

    def tell(self, policy: Any, host: str = "") -> None:
        """What holds for an address there from now on."""
        made = policy if isinstance(policy, grpc.StatusCode) else of(policy, host or self.host)
        self.made.policy.tell(f"{host or self.host}:{self.port}", made)

    async def status(self, name: str) -> int:
        """Of a request that names it to the proxy."""
        got = await self.made.proxy.get(f"http://{name}:{self.port}/")
        return int(got.split()[1]) if got else 0

    async def by_address(self, name: str) -> int:
        """The same of one that is on its way to the address."""
        wire = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
        got = await talk(self.made.proxy.static(), wire)
        return int(got.split()[1]) if got else 0

    async def tunnelled(self, name: str, hello: bytes) -> tuple[int, bytes]:
        """What a tunnel to that name is answered, and what comes out of it."""
        target = f"{name}:{self.port}"
        tunnel = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
        got = await talk(self.made.proxy.outbound, tunnel + hello, until=TLS_SEEN)
        head, _, rest = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), rest

    async def becomes(self, name: str, expected: int) -> None:
        async def so() -> bool:
            return await self.status(name) == expected

        await eventually_async(so)


@asynccontextmanager
async def outside(tmp_path: Path, *more: str) -> AsyncIterator[Outside]:
    """All names have the address of a server of HTTP and TLS, and these more."""
    host = own_address()
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                is_request = piece.startswith(b"GET ")
                if is_request:
                    heads.append(piece)
                writer.write(OK if is_request else TLS_SEEN)
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    port = server.sockets[0].getsockname()[1]
    resolv_conf = tmp_path / "resolv.conf"
    rows = {(name, A): Rows((host, *more)) for name in NAMES}
    async with server:
        with DnsServer(rows) as dns:
            resolv_conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with rig(
                target=f"{host}:{port}",
                RESOLV_CONF=str(resolv_conf),
                DESTINATION_CONTEXT='{"ns":"client"}',
            ) as made:
                for name in NAMES:
                    # There is a policy for every name of that form, and no such service.
                    completed = f"{name}.svc.cluster.local:{port}"
                    made.policy.targets[completed] = detected(completed)
                    made.destination.endpoints[completed] = no_endpoints(exists=False)
                yield Outside(made, host, port, heads)


async def test_one_host_is_let_go_where_all_else_is_denied(tmp_path: Path) -> None:
    """The commonest wish; also of names that look like those of services."""
    async with outside(tmp_path) as made:
        routes = (http(made.port, "good.test", "*.good.outside.test"),)
        made.tell(network(allows=False, port=made.port, routes=routes))
        for name in NAMES:
            expected = 200 if "good" in name else 403
            assert (name, await made.status(name)) == (name, expected)
            assert (name, await made.by_address(name)) == (name, expected)
        assert len(made.heads) == 4
        got = await made.made.proxy.get(f"http://bad.test:{made.port}/")
        assert b"l5d-proxy-error: traffic not allowed\r\n" in got
        # What goes to the very address without the name of a host does not, either.
        assert await made.status(made.host) == 403


async def test_one_host_is_denied_where_all_else_is_let_go(tmp_path: Path) -> None:
    async with outside(tmp_path) as made:
        denied = http(made.port, "bad.test", "*.bad.outside.test")
        rule = replace(denied.rules[0], backends=(), filters=(Failure(451, "not from here"),))
        routes = (replace(denied, rules=(rule,)),)
        made.tell(network(allows=True, port=made.port, routes=routes))
        for name in NAMES:
            assert await made.status(name) == (200 if "good" in name else 451)
        assert len(made.heads) == 2


async def test_tls_is_let_go_by_its_name(tmp_path: Path) -> None:
    async with outside(tmp_path) as made:
        routes = (tls(made.port, "good.test"),)
        made.tell(network(allows=False, port=made.port, routes=routes))
        for name in ("good.test", "bad.test"):
            good = hello_of(client_context(), "good.test")
            bad = hello_of(client_context(), "bad.test")
            # Whom a tunnel names is the proxy's business, whom TLS names the policy's.
            assert await made.tunnelled(name, good) == (200, TLS_SEEN)
            assert await made.tunnelled(name, bad) == (200, b"")
            assert await made.status(name) == 404
        assert (await talk(made.made.proxy.static(), good, until=TLS_SEEN)) == TLS_SEEN
        assert (await talk(made.made.proxy.static(), bad, until=TLS_SEEN)) == b""
        text = await made.made.proxy.ask_admin("GET", "/metrics")
        assert b'route_name="some"} 3' in text
        assert b'route_name="tls-egress-deny",error="forbidden"} 3' in text


async def test_where_all_is_denied_a_tunnel_is_told_so(tmp_path: Path) -> None:
    async with outside(tmp_path) as made:
        made.tell(network(allows=False, port=made.port, routes=()))
        assert await made.status("a.bad.outside.test") == 403
        hello = hello_of(client_context(), "a.bad.outside.test")
        assert (await made.tunnelled("a.bad.outside.test", hello))[0] == 403
        # One that comes before anything is known learns it from within.
        assert await made.tunnelled("a.good.outside.test", hello) == (200, b"")
        # And it is let go once the policy says so.
        made.tell(network(allows=True, port=made.port, routes=()))
        await made.becomes("a.bad.outside.test", 200)
        made.tell(network(allows=False, port=made.port, routes=()))
        await made.becomes("a.bad.outside.test", 403)


async def test_a_request_waits_for_the_policy_of_its_address(tmp_path: Path) -> None:
    """Nothing has gone too early, though the name stood for a service that would have let it."""
    async with outside(tmp_path) as made:
        made.made.policy.default_target = None
        asking = [spawn(made.status(name), name=name) for name in NAMES]
        try:

            async def asked() -> bool:
                return made.made.policy.count(f"{made.host}:{made.port}") >= len(NAMES)

            await eventually_async(asked)
            assert not made.heads
            routes = (http(made.port, "good.test", "*.good.outside.test"),)
            made.tell(network(allows=False, port=made.port, routes=routes))
            assert await asyncio.gather(*asking) == [200, 200, 403, 403]
        finally:
            await cancel_all(asking)


@pytest.mark.parametrize("other", [grpc.StatusCode.NOT_FOUND, "denied", "its own"])
async def test_of_addresses_with_several_policies_those_of_one_are_used(
    tmp_path: Path, other: Any
) -> None:
    """Whatever the other address would let go: nobody gets further there by a name than by the address."""
    nowhere = "203.0.113.200"
    async with outside(tmp_path, nowhere) as made:
        routes = (http(made.port, "good.test", "*.good.outside.test"),)
        made.tell(network(allows=False, port=made.port, routes=routes))
        said: dict[str, Any] = {
            "denied": network(allows=False, port=made.port, routes=()),
            "its own": network(allows=False, port=made.port, routes=(http(made.port, "*.test"),)),
        }
        made.tell(said.get(other, other), nowhere)
        # The one that is used is said in the log; 192.0.2.2 and its like come before 203.0.113.200.
        (name,) = {"good.test"}
        await made.becomes(name, 200)
        (target,) = [one for one in made.made.proxy.targets("outbound") if b"good" in one.key]
        places = [one["address"] for one in target.endpoints_state()]
        if made.host < nowhere:
            assert places == [f"{made.host}:{made.port}"]


async def test_addresses_with_the_same_policy_are_used_together(tmp_path: Path) -> None:
    """Though each is forwarded to itself."""
    async with outside(tmp_path, "203.0.113.200") as made:
        one = network(allows=False, port=made.port, routes=(http(made.port, "good.test"),))
        made.tell(one)
        made.tell(one, "203.0.113.200")

        async def both() -> bool:
            await made.status("bad.test")
            places = [
                one["address"]
                for target in made.made.proxy.targets("outbound")
                if b"bad" in target.key
                for one in target.endpoints_state()
            ]
            return sorted(places) == sorted(
                f"{host}:{made.port}" for host in (made.host, "203.0.113.200")
            )

        await eventually_async(both)
        assert await made.status("bad.test") == 403
        assert not made.heads


async def test_without_a_policy_names_go_where_dns_says(tmp_path: Path) -> None:
    async with outside(tmp_path) as made:
        made.tell(grpc.StatusCode.NOT_FOUND)
        for name in NAMES:
            assert await made.status(name) == 200
