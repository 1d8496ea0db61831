"""A proxy server's listeners, and how it ends."""

import pytest

from tests.support.raw_socket import RawListener
from tests.support.route_rig import GET, OK, Rig


def test_a_held_listener_lets_clients_wait_in_the_kernel(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    server, _ = rig.server(rig.tables[-1], target)
    held = server.listen("127.0.0.1", 0, hold=True)
    client = rig.connect((held.host, held.port))
    client.send(GET)
    rig.accept(listener)
    assert server.open_connections == 0
    server.start()
    server.start()
    rig.until(lambda: server.open_connections == 1)


def test_a_port_that_is_taken_is_named(rig: Rig) -> None:
    server, address = rig.server(rig.table())
    with pytest.raises(OSError, match=str(address[1])):
        server.listen(*address)


def test_draining_closes_what_is_idle_and_tells_who_is_served(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener)
    server, address = rig.server(rig.tables[-1], target)
    idle, busy = rig.connect(address), rig.connect(address)
    end = rig.accept(listener)
    idle.send(GET)
    rig.until(end.take)
    end.send(OK)
    rig.until(lambda: idle.take().endswith(b"ok"))
    busy.send(GET)
    rig.until(lambda: end.take().count(b"GET") == 2)
    server.drain()
    rig.until(lambda: idle.take() and idle.end == "fin")
    end.send(OK)
    rig.until(lambda: busy.take() and busy.end == "fin")
    assert b"connection: close" in busy.received.lower()
    assert server.open_connections == 0


def test_what_the_grace_period_did_not_end_is_cut(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    server, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    client.send(GET)
    end = rig.accept(listener)
    rig.until(end.take)
    server.drain()
    server.abort_all()
    rig.until(lambda: client.take() == b"" and client.end == "reset")
    rig.until(lambda: end.take() and end.end)
    assert target.in_use == 0
