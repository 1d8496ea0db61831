"""A target: who may choose, who waits, what happens to its endpoints."""

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.raw_socket import RawListener
from tests.support.route_rig import MS, OK, Rig


def spec(listener: RawListener) -> EndpointSpec:
    return EndpointSpec(Address(*listener.address))


def test_a_request_waits_for_the_first_endpoint_to_be_ready(
    rig: Rig, listener: RawListener
) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    seen = rig.ask(target, table)
    assert target.in_use == 1
    target.replace([spec(listener)])
    end = rig.accept(listener)
    rig.until(lambda: end.take().endswith(b"\r\n\r\n"))
    end.send(OK)
    rig.until(seen.over)
    assert (seen.status(), seen.body()) == (200, b"ok")
    assert target.in_use == 0


def test_who_waits_for_the_fail_fast_time_is_answered_504_and_who_comes_later_503(rig: Rig) -> None:
    table = rig.table(settings={"failfast_ns": 20 * MS})
    target = table.install(b"svc.test:80")
    target.configure()
    first = rig.ask(target, table)
    rig.until(first.over)
    assert first.status() == 504
    later = rig.ask(target, table)
    rig.until(later.over)
    assert later.status() == 503


def test_an_endpoint_that_becomes_ready_opens_the_gate_again(
    rig: Rig, listener: RawListener
) -> None:
    table = rig.table(settings={"failfast_ns": 20 * MS})
    target = table.install(b"svc.test:80")
    target.configure()
    rig.until(rig.ask(target, table).over)
    target.add([spec(listener)])
    rig.until(lambda: target.endpoints_state()[0]["ready"])
    seen = rig.ask(target, table)
    end = rig.accept(listener)
    rig.until(end.take)
    end.send(OK)
    rig.until(seen.over)
    assert seen.status() == 200


def test_a_full_queue_sheds(rig: Rig) -> None:
    table = rig.table(settings={"queue_capacity": 1})
    target = table.install(b"svc.test:80")
    target.configure()
    waiting, shed = rig.ask(target, table), rig.ask(target, table)
    rig.until(shed.over)
    assert shed.status() == 503
    assert waiting.events == []


def test_too_many_in_flight_are_shed_for_the_whole_table(rig: Rig) -> None:
    table = rig.table(settings={"max_in_flight": 1})
    one, other = table.install(b"one.test:80"), table.install(b"other.test:80")
    for target in (one, other):
        target.configure()
    rig.ask(one, table)
    shed = rig.ask(other, table)
    rig.until(shed.over)
    assert shed.status() == 503
    assert table.in_flight == 1


@pytest.mark.parametrize(("direction", "status"), [("outbound", 502), ("inbound", 403)])
def test_a_target_that_is_this_proxy_is_refused(rig: Rig, direction: str, status: int) -> None:
    table = rig.table(direction)
    target = table.install(b"svc.test:80")
    target.reject_loop()
    seen = rig.ask(target, table)
    rig.until(seen.over)
    assert seen.status() == status


def test_rejecting_answers_who_waits_and_who_comes_until_there_are_endpoints(
    rig: Rig, listener: RawListener
) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    waiting = rig.ask(target, table)
    target.reject(404, "no such thing")
    later = rig.ask(target, table)
    rig.until(lambda: waiting.over() and later.over())
    assert (waiting.status(), later.status()) == (404, 404)
    target.replace([spec(listener)])
    served = rig.ask(target, table)
    rig.accept(listener)
    assert served.events == []


def test_endpoints_that_stay_keep_their_connections(rig: Rig, listener: RawListener) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    target.replace([spec(listener)])
    end = rig.accept(listener)
    for count in (1, 2, 3):
        with RawListener() as other:
            target.replace([spec(listener), spec(other)])
            target.replace([spec(listener)])
        seen = rig.ask(target, table)
        rig.until(lambda count=count: end.take().count(b"\r\n\r\n") == count)
        end.send(OK)
        rig.until(seen.over)
        assert seen.status() == 200


def test_an_endpoint_of_which_something_else_is_said_is_made_anew(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener)
    rig.until(lambda: target.endpoints_state()[0]["ready"])
    end = rig.accept(listener)
    target.replace([EndpointSpec(Address(*listener.address), labels=(("pod", "web-1"),))])
    rig.until(lambda: end.take() == b"" and end.end == "fin")
    rig.accept(listener)


def test_one_forwarded_to_answers_its_connect_errors_at_once(
    rig: Rig, nobody: tuple[str, int]
) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    target.forward(EndpointSpec(Address(*nobody)))
    seen = rig.ask(target, table)
    rig.until(seen.over)
    assert seen.status() == 502


def test_closing_answers_who_waits_and_is_done_once(rig: Rig) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    seen = rig.ask(target, table)
    target.close()
    target.close()
    rig.until(seen.over)
    assert seen.status() == 503
    assert target.in_use == 0


def test_labels_are_in_the_order_of_linkerd(rig: Rig) -> None:
    target = rig.table().install(b"web.ns:80")
    target.configure(labels=(("service", "web"),), logical=b"web.ns.svc:80")
    made = EndpointSpec(Address("10.1.2.3", 8080), labels=(("pod", "web-1"),))
    assert target.endpoint_labels(made) == [
        ("direction", "outbound"),
        ("authority", "web.ns.svc:80"),
        ("target_addr", "10.1.2.3:8080"),
        ("target_ip", "10.1.2.3"),
        ("target_port", "8080"),
        ("tls", "no_identity"),
        ("no_tls_reason", "not_provided_by_service_discovery"),
        ("dst_service", "web"),
        ("dst_pod", "web-1"),
    ]


def test_what_never_got_an_endpoint_is_counted_at_the_target(rig: Rig) -> None:
    table = rig.table()
    target = table.install(b"svc.test:80")
    target.configure()
    target.reject(404, "gone")
    rig.until(rig.ask(target, table).over)
    assert 'direction="outbound",authority="svc.test:80"' in rig.metrics()
