"""l5d-dst-canonical: outbound tells the peer proxy what a static port stands for; inbound counts by it and keeps it."""

import pytest

from tests.support.engine import Engine, engine
from tests.support.origin import Origin, origin, talk

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FORGED = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:31001\r\nl5d-dst-canonical: forged.test:80\r\n\r\n"


def two_proxies(made: Engine, server: Origin, *, authority_labels: bool) -> tuple[str, int]:
    inbound = made.inbound(server.address, authority_labels=authority_labels)
    return made.outbound(inbound, h2=True)[1]


def inbound_requests(made: Engine) -> list[str]:
    return [
        line
        for line in made.metrics().splitlines()
        if line.startswith("request_total{")
        and 'direction="inbound"' in line
        and not line.endswith(" 0")
    ]


@pytest.mark.parametrize("authority_labels", [False, True])
async def test_the_workload_never_sees_the_name(*, authority_labels: bool) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = two_proxies(made, server, authority_labels=authority_labels)
        await talk(address, FORGED, until=b"ok")
    assert b"l5d-dst-canonical" not in server.heads[0].lower()
    assert b"127.0.0.1:31001" in server.heads[0]


async def test_a_server_that_is_not_meshed_never_sees_the_name() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _target, address = made.outbound(server.address)
        await talk(address, FORGED, until=b"ok")
    assert b"l5d-dst-canonical" not in server.heads[0].lower()


async def test_inbound_counts_by_the_name_the_peer_gave() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = two_proxies(made, server, authority_labels=True)
        await talk(address, FORGED, until=b"ok")
        lines = inbound_requests(made)
    assert len(lines) == 1
    assert 'authority="svc.test:80"' in lines[0]


async def test_without_authority_labels_inbound_does_not_tell_names_apart() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = two_proxies(made, server, authority_labels=False)
        await talk(address, FORGED, until=b"ok")
        lines = inbound_requests(made)
    assert len(lines) == 1
    assert "authority=" not in lines[0]
