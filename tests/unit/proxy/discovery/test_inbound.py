"""Where the inbound side lets traffic go."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proxy.addresses import SocketAddr, pack_ip
from linkerd2_py.proxy.config.types import InboundPolicy
from linkerd2_py.proxy.discovery.inbound import InboundTargets
from linkerd2_py.proxy.discovery.refusal import TARGETS_MAX
from linkerd2_py.proxy.grpc.follow import Follower
from linkerd2_py.proxy.policy.ports import FOLLOWED_MAX, PortPolicies


def targets(*own: str) -> InboundTargets:
    packed = frozenset(found for ip in own if (found := pack_ip(ip)))
    return InboundTargets(
        own_ips=packed,
        ports=PortPolicies(
            InboundPolicy("deny", (), frozenset(), frozenset()),
            opaque_ports=frozenset({25}),
            api=None,
            on_change=lambda _: None,
        ),
        leads_back=lambda address: address.port == 4143,
    )


@pytest.mark.parametrize(
    "key",
    [
        b"127.0.0.1:4191",
        b"[::1]:80",
        b"[::ffff:127.0.0.1]:80",
        b"0.0.0.0:80",
        b"192.0.2.1:80",
        b"web:80",
        b"10.0.0.1:0",
        b"[fe80::1%1]:80",
        b"\xff:1",
        b"",
    ],
)
def test_without_own_addresses_only_this_machines_are_accepted_and_never_loopback(
    key: bytes,
) -> None:
    assert targets().accepted(key) is None


def test_own_addresses_are_accepted_and_no_others() -> None:
    found = targets("10.0.0.1", "fd00::1")
    assert found.accepted(b"10.0.0.1:80") == SocketAddr("10.0.0.1", 80)
    assert found.accepted(b"[::ffff:10.0.0.1]:80") == SocketAddr("10.0.0.1", 80)
    assert found.accepted(b"[fd00::1]:80") == SocketAddr("fd00::1", 80)
    assert found.accepted(b"10.0.0.2:80") is None
    assert found.accepted(b"127.0.0.1:80") is None


@contextmanager
def table_of(found: InboundTargets) -> Iterator[TargetTable]:
    loop = Loop()
    table = TargetTable(
        loop,
        Registry(),
        direction="inbound",
        settings=PoolSettings(),
        on_unknown_target=lambda target: found.on_unknown_target(target, table=table),
    )
    try:
        yield table
    finally:
        table.close()
        loop.close()


async def test_unused_targets_make_room() -> None:
    """Whoever knocks at every port of the workload does not keep others out."""
    with table_of(targets("10.0.0.1")) as table:
        for port in range(10_000, 10_000 + TARGETS_MAX):
            table.lookup(f"10.0.0.1:{port}".encode())
        assert len(table.targets()) == TARGETS_MAX
        assert table.lookup(b"10.0.0.1:80").endpoints_state()
        assert [target.key for target in table.targets()] == [b"10.0.0.1:80"]


class Asked:
    """A controller that is asked, and says nothing."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    def watch_port(self, port: int, *, follower: Follower) -> asyncio.Task[None]:
        task = spawn(asyncio.Event().wait(), name=f"port {port}")
        self.running.add(task)  # type: ignore[arg-type]  # it ends by being cancelled
        return task  # type: ignore[return-value]


async def test_whoever_tries_all_ports_does_not_make_us_ask_about_all() -> None:
    asked, own = Asked(), pack_ip("10.0.0.1")
    assert own is not None
    ports = PortPolicies(
        InboundPolicy("deny", (), frozenset(), frozenset()),
        opaque_ports=frozenset(),
        api=asked,  # type: ignore[arg-type]  # all that is asked of it
        on_change=lambda _: None,
    )
    ports.begin_always([80])
    found = InboundTargets(
        own_ips=frozenset({own}), ports=ports, leads_back=lambda address: address.port == 4143
    )
    with table_of(found) as table:
        tried = [
            table.lookup(f"10.0.0.1:{port}".encode())
            for port in range(10_000, 10_000 + FOLLOWED_MAX)
        ]
        assert not ports.has_room(20_000)
        assert ports.has_room(80)
        # Ports of the workload's own are always there, and whoever has nothing open makes room.
        table.lookup(b"10.0.0.1:80")
        assert set(tried) < set(table.targets())
        table.lookup(b"10.0.0.1:20000")
        assert [target.key for target in table.targets()] == [b"10.0.0.1:20000"]
        assert ports.has_room(20_001)
    ports.close()
    await cancel_all(list(asked.running))


async def test_the_engine_is_told() -> None:
    with table_of(targets("10.0.0.1")) as table:
        (endpoint,) = table.lookup(b"10.0.0.1:25").endpoints_state()
        assert endpoint["address"] == "10.0.0.1:25"
        assert table.lookup(b"10.0.0.1:25").is_opaque
        assert not table.lookup(b"10.0.0.1:80").is_opaque
        assert table.lookup(b"10.0.0.2:80").endpoints_state() == []
        assert table.lookup(b"10.0.0.1:4143").endpoints_state() == []
        await asyncio.sleep(0)
        # Refused ones are forgotten at once.
        assert {target.key for target in table.targets()} == {b"10.0.0.1:25", b"10.0.0.1:80"}


@pytest.mark.parametrize(
    ("own", "port", "other"),
    [
        ([], 80, None),
        (["10.0.0.1"], 80, SocketAddr("10.0.0.1", 80)),
        # Which of them would be meant?
        (["10.0.0.1", "10.0.0.2"], 80, None),
        # What one address refuses must not be let in by the other: a port of this proxy's own.
        (["10.0.0.1"], 4143, None),
    ],
)
def test_the_pods_address_of_the_other_family(
    own: list[str], port: int, other: SocketAddr | None
) -> None:
    found = targets("fd00::1", *own)
    assert found.in_other_family(SocketAddr("fd00::1", port)) == other
