"""A program that listens on one of its pod's two addresses is reached by both of them."""

import asyncio

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py._ext.tls.identity import ServerIdentity
from tests.support.engine import Engine, engine
from tests.support.origin import origin, talk
from tests.support.ports import bound_pair
from tests.support.workloads import name_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def workload(
    made: Engine, address: Address, *, other: Address, opaque: bool = False
) -> tuple[TargetTable, tuple[str, int]]:
    table = made.table("inbound")
    target = table.install(b"workload:80")
    target.configure(opaque=opaque)
    target.forward(EndpointSpec(address, other=other))
    return table, made.server(table, target=target)[1]


def in_ipv6(address: tuple[str, int]) -> Address:
    """The same port of an address where nobody listens: `origin` listens on IPv4."""
    return Address("::1", address[1])


async def test_what_refuses_is_reached_at_its_other_address() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _, address = workload(made, in_ipv6(server.address), other=Address(*server.address))
        answers = await asyncio.gather(*(talk(address, GET) for _ in range(8)))
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers), answers


async def test_the_way_that_worked_is_the_first_one_from_then_on() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        table, address = workload(made, in_ipv6(server.address), other=Address(*server.address))
        await talk(address, GET)
        (state,) = table.lookup(b"workload:80").endpoints_state()
    assert state["at"] == str(Address(*server.address))
    # It goes on being called what it was called.
    assert state["address"] == str(in_ipv6(server.address))


async def test_opaque_connections_too() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _, address = workload(
            made, in_ipv6(server.address), other=Address(*server.address), opaque=True
        )
        assert await talk(address, GET, until=b"ok") == OK


async def test_http2_too() -> None:
    """Its dials serve many exchanges and are counted; a count that is wrong would let the second one wait for
    ever.
    """
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        behind = made.inbound(server.address)
        table = made.table()
        target = table.install(b"peer.test:80")
        target.configure()
        target.forward(EndpointSpec(in_ipv6(behind), h2=True, other=Address(*behind)))
        _, address = made.server(table, target=target)
        for _ in range(2):
            answers = await asyncio.gather(*(talk(address, GET) for _ in range(4)))
            assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers), answers


async def test_when_both_refuse_the_client_is_told_once() -> None:
    udp, tcp = bound_pair()
    with udp, tcp:
        # Bound and not listening: refuses for as long as this test lasts.
        host, port = tcp.getsockname()
        async with engine() as made:
            _, address = workload(made, Address("::1", port), other=Address(host, port))
            first, second = await talk(address, GET), await talk(address, GET)
    assert first.startswith(b"HTTP/1.1 502 ")
    assert second.startswith(b"HTTP/1.1 502 ")


async def test_a_peer_that_proves_who_it_is_has_one_address() -> None:
    with pytest.raises(ValueError, match="one address"):
        EndpointSpec(
            Address("::1", 80),
            other=Address("127.0.0.1", 80),
            peer=ServerIdentity(name_of("voting")),
        )
