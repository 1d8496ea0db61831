"""Limits on requests in flight: whose seats are counted together, and what a change of the limit leaves."""

import gc

import pytest

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.policy.concurrency import ConcurrencyLimits
from linkerd2_py.proxy.policy.messages import server
from linkerd2_py.proxy.policy.server import ConcurrencyLimit, SeatOverride
from tests.support import policy_stub as stub

LABELS = (("target_port", "80"),)
LIMIT = ConcurrencyLimit(10, 2, (SeatOverride(5, frozenset({"bot.shop"})),))


def client(identity: str | None) -> Client:
    return Client(identity=identity)  # type: ignore[call-arg]


def test_an_answer_says_how_many() -> None:
    message = stub.server()
    assert server(message).concurrency_limit is None
    override = inbound.HttpConcurrencyLimit.Override
    message.concurrency_limit.total = 10
    message.concurrency_limit.identity = (1 << 32) - 1
    message.concurrency_limit.overrides.extend(
        [
            override(requests=5, identities=[inbound.Identity(name="a.b")]),
            override(requests=0, identities=[inbound.Identity(name="c.d")]),
        ]
    )
    found = server(message).concurrency_limit
    most = (1 << 31) - 1
    assert found == ConcurrencyLimit(10, most, (SeatOverride(5, frozenset({"a.b"})),))


@pytest.mark.parametrize(
    ("said", "identity", "scopes"),
    [
        (ConcurrencyLimit(total=3), "a.b", ["total"]),
        (ConcurrencyLimit(identity=3), None, ["identity"]),
        (LIMIT, "a.b", ["total", "identity"]),
        (LIMIT, "bot.shop", ["total", "override"]),
        (ConcurrencyLimit(), "a.b", []),
    ],
)
def test_which_limits_a_client_meets(
    said: ConcurrencyLimit, identity: str | None, scopes: list[str]
) -> None:
    registry = Registry()
    limits = ConcurrencyLimits(registry)
    seating = limits.of(said, client(identity), 80, labels=LABELS)
    assert (seating is None) == (not scopes)
    told = b"".join(registry.render()).decode()
    lines = [
        one for one in told.splitlines() if one.startswith("inbound_http_local_concurrency_total{")
    ]
    assert lines == [
        f'inbound_http_local_concurrency_total{{target_port="80",concurrency_scope="{scope}"}} 0'
        for scope in scopes
    ]


def test_seats_are_shared_by_port_and_client_whatever_the_limit_is() -> None:
    limits = ConcurrencyLimits(Registry())
    held = [
        limits.of(said, client(name), port, labels=LABELS)
        for said, name, port in [
            (ConcurrencyLimit(identity=3), "a.b", 80),
            (ConcurrencyLimit(identity=7), "a.b", 80),
            (ConcurrencyLimit(identity=3), "c.d", 80),
            (ConcurrencyLimit(identity=3), "a.b", 81),
        ]
    ]
    assert limits.seats == 3
    held.pop(2)
    gc.collect()
    assert limits.seats == 2
    held.clear()
    assert limits.seats == 0
