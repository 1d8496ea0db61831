"""A connection that has just come: what it speaks, where it goes, whether it is let in."""

import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.tls.identity import LocalIdentity
from tests.support.raw_socket import RawListener
from tests.support.route_rig import GET, MS, OK, Rig

REFUSED = b"HTTP/1.1 403 "


def test_http_is_parsed_and_its_first_bytes_are_delivered_once(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener)
    _, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    for byte in GET:
        client.send(bytes([byte]))
        rig.until(lambda: True)
    end = rig.accept(listener)
    rig.until(lambda: end.take().endswith(b"\r\n\r\n"))
    assert end.received.startswith(b"GET / HTTP/1.1\r\n")
    assert end.received.count(b"GET") == 1
    end.send(OK)
    rig.until(lambda: client.take().endswith(b"ok"))


@pytest.mark.parametrize("first", [b"*1\r\n$4\r\nPING\r\n", b"\x00\x01\x02\x03", b"SET k v\r\n"])
def test_anything_else_goes_on_as_it_came(rig: Rig, listener: RawListener, first: bytes) -> None:
    target = rig.target(listener)
    _, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    rig.accept(listener)
    client.send(first)
    end = rig.accept(listener)
    rig.until(lambda: end.take() == first)


def test_a_silent_client_may_wait_for_the_server_to_speak(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    _, address = rig.server(rig.tables[-1], target, detect_timeout_ns=20 * MS)
    rig.accept(listener)
    client = rig.connect(address)
    end = rig.accept(listener)
    end.send(b"220 ready\r\n")
    rig.until(lambda: client.take() == b"220 ready\r\n")


def test_what_may_become_a_request_is_none_of_the_opaque_when_its_time_is_over(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener)
    _, address = rig.server(rig.tables[-1], target, detect_timeout_ns=20 * MS)
    rig.accept(listener)
    client = rig.connect(address)
    client.send(b"GET / HT")
    # One that came later and says nothing is opaque by now: the time of the first is over too.
    rig.connect(address)
    rig.accept(listener)
    client.send(b"TP/9.9\r\n\r\n")
    rig.until(lambda: client.take().startswith(b"HTTP/1.1 "))


@pytest.mark.parametrize(
    "first", [b"\x00\x01\x02\x03\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
)
def test_where_only_http_is_spoken_nothing_is_opaque(
    rig: Rig, listener: RawListener, first: bytes
) -> None:
    target = rig.target(listener)
    target.configure(http=True)
    _, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    client.send(first)
    rig.until(lambda: client.take().startswith(b"HTTP/1.1 400 "))


def test_a_port_where_nothing_is_detected_passes_http_on_unparsed(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener, opaque=True)
    _, address = rig.server(rig.tables[-1], target, opaque=True)
    client = rig.connect(address)
    client.send(GET)
    end = rig.accept(listener)
    rig.until(lambda: end.take() == GET)


def test_an_unknown_target_parks_its_connections_until_the_profile_is_known(
    rig: Rig, listener: RawListener
) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    server, address = rig.server(table, target)
    http, opaque = rig.connect(address), rig.connect(address)
    http.send(GET)
    opaque.send(b"*1\r\n")
    rig.until(lambda: server.open_connections == 2)
    target.configure()
    target.replace([EndpointSpec(Address(*listener.address))])
    ends = [rig.accept(listener), rig.accept(listener)]
    rig.until(lambda: all(end.take() for end in ends))
    assert sorted(end.received[:4] for end in ends) == [b"*1\r\n", b"GET "]


def test_without_a_target_each_request_names_its_own(rig: Rig, listener: RawListener) -> None:
    asked: list[bytes] = []

    def on_unknown(target: Target) -> None:
        asked.append(target.key)
        target.configure()
        target.replace([EndpointSpec(Address(*listener.address))])

    _, address = rig.server(rig.table(on_unknown=on_unknown))
    client = rig.connect(address)
    client.send(GET)
    end = rig.accept(listener)
    rig.until(end.take)
    assert asked == [b"a.test:80"]
    # ... so bytes that name none have nowhere to go.
    other = rig.connect(address)
    other.send(b"*1\r\n$4\r\nPING\r\n")
    rig.until(lambda: other.take() == b"" and other.end == "reset")


def test_policy_is_asked_with_client_peer_and_port(rig: Rig, listener: RawListener) -> None:
    asked: list[tuple[str | None, str, int]] = []

    def authorize(client: Client, peer: Address | None, port: int) -> Permission:
        asked.append((client.identity, str(peer), port))
        return Permission(otherwise=Passage(refusal="not allowed"))

    table = rig.table("inbound")
    target = table.install(b"127.0.0.1:80")
    target.configure()
    target.forward(EndpointSpec(Address(*listener.address)))
    _, address = rig.server(table, target, authorize=authorize)
    client = rig.connect(address)
    where = "{}:{}".format(*client.link.sock.getsockname())
    client.send(GET)
    rig.until(lambda: client.take().startswith(REFUSED))
    assert asked == [(None, where, 80)]
    opaque = rig.connect(address)
    opaque.send(b"*1\r\n")
    rig.until(lambda: opaque.take() == b"" and opaque.end == "reset")


def test_who_comes_straight_to_our_own_port_without_tls_is_reset_and_told_of(rig: Rig) -> None:
    """Nothing was redirected here: there is no port of the workload that it could mean."""
    server, address = rig.server(rig.table(direction="inbound"), identity=LocalIdentity("web.test"))
    told: list[Address | None] = []
    server.on_stranger = told.append
    client = rig.connect(address)
    client.send(GET)
    rig.until(lambda: client.take() == b"" and client.end == "reset")
    assert [peer.host for peer in told if peer is not None] == ["127.0.0.1"]
