"""A connection whose bytes are not parsed, from waiting to pump."""

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.raw_socket import RawListener
from tests.support.route_rig import MS, End, Rig


def relayed(rig: Rig, listener: RawListener) -> tuple[End, End]:
    """Both ends of a connection that is pumped."""
    target = rig.target(listener, opaque=True)
    _, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    return client, rig.accept(listener)


def test_bytes_pass_both_ways_and_each_side_ends_by_itself(rig: Rig, listener: RawListener) -> None:
    client, end = relayed(rig, listener)
    client.send(b"ask")
    rig.until(lambda: end.take() == b"ask")
    client.link.half_close()
    rig.until(lambda: end.take() and end.end == "fin")
    end.send(b"answer")
    rig.until(lambda: client.take() == b"answer")
    assert rig.tables[-1].install(b"svc.test:80").in_use == 1
    end.link.half_close()
    rig.until(lambda: client.take() and client.end == "fin")
    rig.until(lambda: rig.servers[-1].open_connections == 0)
    assert rig.tables[-1].install(b"svc.test:80").in_use == 0


def test_a_reset_is_passed_on_as_one(rig: Rig, listener: RawListener) -> None:
    client, end = relayed(rig, listener)
    # A reset that comes before the relay knows of its own connection is a failed dial, and tried again.
    client.send(b"ask")
    rig.until(lambda: end.take() == b"ask")
    end.link.reset()
    rig.until(lambda: client.take() == b"" and client.end == "reset")


def test_a_client_that_gives_up_while_it_waits_leaves_nothing(rig: Rig) -> None:
    target = rig.target(opaque=True)
    server, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    rig.until(lambda: target.in_use == 1)
    client.link.reset()
    rig.until(lambda: target.in_use == 0)
    assert server.open_connections == 0


def test_where_no_endpoint_is_ready_in_time_the_client_sees_a_reset(rig: Rig) -> None:
    target = rig.target(opaque=True, failfast_ns=20 * MS)
    _, address = rig.server(rig.tables[-1], target)
    client = rig.connect(address)
    rig.until(lambda: client.take() == b"" and client.end == "reset")


def test_another_endpoint_is_chosen_when_one_refuses(
    rig: Rig, listener: RawListener, nobody: tuple[str, int]
) -> None:
    target = rig.target(opaque=True)
    target.replace([EndpointSpec(Address(*nobody)), EndpointSpec(Address(*listener.address))])
    _, address = rig.server(rig.tables[-1], target)
    for _ in range(8):
        client = rig.connect(address)
        client.send(b"hello")
        end = rig.accept(listener)
        rig.until(lambda end=end: end.take() == b"hello")


def test_one_that_is_forwarded_to_is_tried_once(rig: Rig, nobody: tuple[str, int]) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure(opaque=True)
    target.forward(EndpointSpec(Address(*nobody)))
    _, address = rig.server(table, target)
    client = rig.connect(address)
    rig.until(lambda: client.take() == b"" and client.end == "reset")


def test_ending_the_server_ends_its_connections(rig: Rig, listener: RawListener) -> None:
    client, end = relayed(rig, listener)
    server = rig.servers[-1]
    server.drain()
    client.send(b"still")
    rig.until(lambda: end.take() == b"still")
    server.abort_all()
    rig.until(lambda: client.take() == b"" and client.end == "reset")
    assert server.open_connections == 0
