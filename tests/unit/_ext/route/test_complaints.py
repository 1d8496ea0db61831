"""What a server answers in the proxy's own name: who is told, of what, and how often."""

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.complaints import Complaints
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.ports import free_port
from tests.support.route_rig import GET, Rig

Told = list[tuple[bytes | None, str | None, int, bytes, int]]
HTTPS = b"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"


def told_by(rig: Rig, told: Told) -> Complaints:
    return Complaints(rig.loop, lambda *answer: told.append(answer))


def test_each_reason_is_told_once_a_second_with_how_many_more_there_were(rig: Rig) -> None:
    told: Told = []
    port = free_port()
    target = rig.target()
    target.forward(EndpointSpec(Address("127.0.0.1", port)))
    server, address = rig.server(rig.tables[0], target)
    server.complaints = told_by(rig, told)

    def ask() -> None:
        client = rig.connect(address)
        client.send(GET)
        rig.until(lambda: b"l5d-proxy-error" in client.take())
        assert b"HTTP/1.1 502 " in client.received

    for _ in range(5):
        ask()
    assert len(told) == 1
    key, endpoint, status, reason, more = told[0]
    assert (key, endpoint, status, more) == (b"svc.test:80", f"127.0.0.1:{port}", 502, 0)
    assert reason
    first = rig.loop.now
    while len(told) == 1:
        ask()
    assert rig.loop.now - first > 900_000_000
    assert told[1][:4] == told[0][:4]
    assert told[1][4] >= 4


def test_another_reason_is_told_beside_it_and_a_target_need_not_be_known(rig: Rig) -> None:
    told: Told = []
    server, address = rig.server(rig.table())
    server.complaints = told_by(rig, told)
    for _ in range(3):
        client = rig.connect(address)
        client.send(HTTPS)
        rig.until(lambda client=client: b"400" in client.take())
        client = rig.connect(address)
        client.send(GET.replace(b"a.test", b"a.test:0"))
        rig.until(lambda client=client: b"400" in client.take())
    assert [answer[:3] for answer in told] == [(None, None, 400)] * 2
    assert {answer[3] for answer in told} == {
        b"https is spoken through CONNECT only",
        b"request has no usable authority",
    }


def test_reasons_that_differ_each_time_do_not_fill_the_log(rig: Rig) -> None:
    told: Told = []
    target = rig.target()
    server, address = rig.server(rig.tables[0], target)
    server.complaints = told_by(rig, told)
    client = rig.connect(address)
    first = rig.loop.now
    for number in range(2_000):
        target.reject(503, f"reason {number}")
        client.received = b""
        client.send(GET)
        rig.until(lambda number=number: b"reason %d\r\n" % number in client.take())
    seconds = (rig.loop.now - first) / 1e9
    assert 256 <= len(told) <= 256 * (2 + seconds)


def test_without_anybody_to_tell_nothing_is_different(rig: Rig) -> None:
    server, address = rig.server(rig.table())
    assert server.complaints is None
    client = rig.connect(address)
    client.send(HTTPS)
    rig.until(lambda: b"400" in client.take())
