"""What the engine is told, and when: a real target without traffic."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.pool.settings import PoolSettings
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery.http2 import Http2Params
from linkerd2_py.proxy.discovery.installation import LOOPBACK, Installation
from linkerd2_py.proxy.discovery.messages import Added, Emptied, Endpoint, Removed, Replaced

A, B, OWN = (Endpoint(SocketAddr("127.0.0.1", port)) for port in (1, 2, 4140))


@contextmanager
def installation(*, own_ip: str = "127.9.9.9") -> Iterator[Installation]:
    loop = Loop()
    table = TargetTable(
        loop,
        Registry(),
        direction="outbound",
        settings=PoolSettings(),
        on_unknown_target=lambda _: None,
    )
    try:
        yield Installation(
            table.install(b"web:80"),
            leads_back=lambda address: address.port == 4140,
            own_ips=frozenset({socket.inet_aton(own_ip)}),
        )
    finally:
        table.close()
        loop.close()


def ports(target: Target) -> set[int]:
    return {int(one["address"].rpartition(":")[2]) for one in target.endpoints_state()}


def test_endpoints_wait_for_the_profile() -> None:
    with installation() as found:
        found.apply(Replaced((A,)))
        found.apply(Added((B,)))
        assert ports(found.target) == set()
        found.configure(opaque=True, logical="web.ns:80")
        assert ports(found.target) == {1, 2}
        assert found.target.is_opaque
        assert found.target.logical == b"web.ns:80"


def test_changes_after_the_profile_go_straight_through() -> None:
    with installation() as found:
        found.configure(opaque=False)
        found.apply(Replaced((A,)))
        found.apply(Added((B,)))
        found.apply(Removed((A.address,)))
        assert ports(found.target) == {2}
        found.apply(Replaced((A,)))
        assert ports(found.target) == {1}
        found.apply(Emptied(exists=True))
        assert ports(found.target) == set()


def test_a_profile_that_changes_keeps_the_set() -> None:
    with installation() as found:
        found.configure(opaque=False)
        found.apply(Replaced((A,)))
        found.apply(Added((B,)))
        found.configure(opaque=True)
        assert ports(found.target) == {1, 2}


def test_a_profile_that_turns_opaque_installs_the_set_anew() -> None:
    """Connections are opened in the manner of the profile: those that wait were opened in the other one."""
    with installation() as found:
        found.configure(opaque=False)
        found.apply(Replaced((A,)))
        install, calls = found._install, list[bool]()

        def count() -> None:
            assert install is not None
            calls.append(found.target.is_opaque)
            install()

        found._install = count
        for opaque in (False, True, True, False):
            found.configure(opaque=opaque)
        assert calls == [True, False]


def test_forwarding_gives_way_to_a_set_and_back() -> None:
    with installation() as found:
        found.configure(opaque=False)
        found.forward(A)
        found.forward(A)
        assert ports(found.target) == {1}
        found.apply(Emptied(exists=True))
        assert ports(found.target) == set()
        found.forward(A)
        found.apply(Replaced((B,)))
        assert ports(found.target) == {2}
        found.forward(A)
        assert ports(found.target) == {1}


def test_our_own_address_is_left_out() -> None:
    with installation() as found:
        found.configure(opaque=False)
        found.apply(Replaced((A, OWN)))
        assert ports(found.target) == {1}
        found.apply(Added((OWN,)))
        assert ports(found.target) == {1}


def test_the_workload_itself_is_spoken_to_as_a_plain_server() -> None:
    peer, own = (Endpoint(SocketAddr(host, 80), h2=True) for host in ("10.0.0.2", "10.0.0.1"))
    with installation(own_ip="10.0.0.1") as found:
        assert [found._spec(one).h2 for one in (peer, own)] == [True, False]
        assert found._spec(own).tls == LOOPBACK
        assert found._spec(peer).tls != LOOPBACK
        found.configure(opaque=False)
        found.forward(own)
        labels = found.target.endpoint_labels(found._spec(own))
    assert ("no_tls_reason", "loopback") in labels


def test_what_an_endpoint_says_of_http2_goes_with_it() -> None:
    with installation() as found:
        params = Http2Params((("ping_interval_ns", 1_000_000_000),), pings_idle=False)
        asked: list[Http2Params | None] = []
        limits = Limits(ping_interval_ns=1_000_000_000)

        def tuning(one: Http2Params | None) -> Limits | None:
            asked.append(one)
            return limits if one else None

        found._tuning = tuning
        spec = found._spec(A._replace(http2=params))
        assert spec.http2 is limits
        assert not spec.pings_idle
        plain = found._spec(A)
        assert plain.http2 is None
        assert plain.pings_idle
        assert asked == [params, None]
