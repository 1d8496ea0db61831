"""What is told of a balancer: its endpoints by state, what discovery changed, who waits, and the gate; over real
sockets.
"""

import asyncio
import socket

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import spawn
from tests.integration.engine.test_errors_counted import closed
from tests.integration.engine.test_first_bytes import echo
from tests.support.engine import MS, Engine, engine
from tests.support.origin import origin, talk
from tests.support.series import series
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: svc.test\r\nConnection: close\r\n\r\n"
OWNER, BACKEND = (("parent_name", "web"),), (("backend_name", "web-v2"),)


def spec(address: tuple[str, int]) -> EndpointSpec:
    return EndpointSpec(Address(*address))


def told(made: Engine, prefix: str = "outbound_http", **labels: str) -> dict[str, float]:
    """The balancer's numbers by short names."""
    text = made.metrics()
    label = frozenset(labels.items())

    def one(name: str, *more: tuple[str, str]) -> float:
        return series(text, f"{prefix}_balancer_{name}").get(label | frozenset(more), -1)

    return {
        "ready": one("endpoints", ("endpoint_state", "ready")),
        "pending": one("endpoints", ("endpoint_state", "pending")),
        "all": one("p2c_endpoints"),
        "Reset": one("p2c_updates_total", ("op", "Reset")),
        "Add": one("p2c_updates_total", ("op", "Add")),
        "Remove": one("p2c_updates_total", ("op", "Remove")),
        "length": one("queue_length"),
        "requests": one("queue_requests_total"),
        "waited": one("queue_latency_seconds_count"),
        "open": one("queue_gate_open_total"),
        "shut": one("queue_gate_shut_total"),
    }


def some(made: Engine, *names: str) -> list[float]:
    now = told(made)
    return [now[name] for name in names]


async def test_endpoints_by_state_and_what_discovery_changed() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as one:
        target, _address = made.outbound(one.address)
        await eventually_async(lambda: some(made, "ready", "pending", "all") == [1, 0, 1])
        await eventually_async(lambda: one.connections == 1)
        assert some(made, "Reset", "Add", "Remove") == [1, 0, 0]
        gone = closed()
        target.add([spec(gone), spec(one.address)])
        await eventually_async(lambda: some(made, "ready", "pending", "all") == [1, 1, 2])
        # The one that was known is no news.
        assert some(made, "Reset", "Add", "Remove") == [1, 1, 0]
        target.remove([Address(*gone), Address("10.0.0.9", 1)])
        assert some(made, "ready", "pending", "all", "Remove") == [1, 0, 1, 1]
        target.replace([spec(one.address)])
        assert some(made, "Reset") == [1]
        target.replace([])
        assert some(made, "ready", "pending", "all", "Reset") == [0, 0, 0, 2]


async def test_an_endpoint_that_fails_is_pending_until_it_is_reached_again() -> None:
    async with engine(backoff_min_ns=5 * MS, backoff_max_ns=50 * MS) as made:
        async with origin(lambda _head, _body: OK, close_after=1) as one:
            _target, address = made.outbound(one.address)
            await talk(address, GET, until=b"ok")
            assert some(made, "ready", "pending") == [1, 0]
            port = one.address[1]
        await talk(address, GET)
        await eventually_async(lambda: some(made, "ready", "pending") == [0, 1])
        # That the kernel connects is enough.
        with socket.create_server(("127.0.0.1", port)):
            await eventually_async(lambda: some(made, "ready", "pending") == [1, 0])


async def test_who_waits_and_for_how_long_and_the_gate() -> None:
    async with engine(failfast_ns=150 * MS) as made, origin(lambda _head, _body: OK) as one:
        target, address = made.outbound()
        waiting = spawn(talk(address, GET, until=b"ok"), name="waits")
        await eventually_async(lambda: some(made, "length") == [1])
        target.replace([spec(one.address)])
        assert (await waiting).startswith(b"HTTP/1.1 200 ")
        assert some(made, "length", "requests", "waited", "open", "shut") == [0, 1, 1, 1, 0]
        # One that finds an endpoint waits for nothing.
        await talk(address, GET, until=b"ok")
        assert some(made, "requests", "waited") == [1, 1]
        target.replace([])
        assert (await talk(address, GET)).startswith(b"HTTP/1.1 504 ")
        assert some(made, "length", "requests", "waited", "open", "shut") == [0, 2, 1, 1, 1]
        target.replace([spec(one.address)])
        await eventually_async(lambda: some(made, "open", "shut") == [2, 1])


async def test_a_client_that_gives_up_waits_no_longer() -> None:
    async with engine(failfast_ns=60_000 * MS) as made:
        _target, address = made.outbound()
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await eventually_async(lambda: some(made, "length") == [1])
        writer.transport.abort()
        await eventually_async(lambda: some(made, "length", "requests", "waited") == [0, 1, 0])


async def test_whose_it_is_and_that_it_is_told_anew_when_that_changes() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as one, echo() as bytes_only:
        target, _address = made.outbound(one.address)
        await eventually_async(lambda: some(made, "ready") == [1] and one.connections == 1)
        target.configure(owner=OWNER, backend=BACKEND)
        labels = dict([*OWNER, *BACKEND])
        assert (told(made)["all"], told(made, **labels)["all"]) == (0, 1)
        target.configure(opaque=True, owner=OWNER, backend=BACKEND)
        assert told(made, **labels)["all"] == 0
        assert told(made, "outbound_tcp", **labels)["all"] == 1
        # One that nobody looks into is trusted until a connect fails.
        made.outbound(bytes_only, opaque=True)
        assert told(made, "outbound_tcp")["ready"] == 1


async def test_nothing_is_balanced_where_there_is_one_way_only() -> None:
    def names() -> list[str]:
        return [line for line in made.metrics().splitlines() if "_balancer_" in line]

    async with engine() as made, origin(lambda _head, _body: OK) as one:
        table = made.table("outbound")
        target: Target = table.install(b"10.0.0.1:80")
        target.configure()
        target.forward(spec(one.address))
        await talk(made.server(table, target=target)[1], GET, until=b"ok")
        await talk(made.inbound(one.address), GET, until=b"ok")
        assert names() == []


async def test_levels_end_with_their_target() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as one:
        target, _address = made.outbound(one.address)
        await eventually_async(lambda: some(made, "ready") == [1] and one.connections == 1)
        target.close()
        # What never changed and is nobody's is told no more.
        assert some(made, "ready", "all", "length") == [0, 0, -1]
