"""l5d-dst-canonical: outbound tells the peer proxy what a static port stands for; inbound counts by it where
the peer has proven to be one, and keeps it.
"""

import pytest

from tests.support.engine import Engine, engine
from tests.support.origin import origin, talk
from tests.support.ways import HEADER, TLS, TWO, every_way, mesh, way_to
from tests.support.workloads import identity_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FORGED = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:31001\r\nl5d-dst-canonical: forged.test:80\r\n\r\n"


def inbound_requests(made: Engine) -> list[str]:
    return [
        line
        for line in made.metrics().splitlines()
        if line.startswith("request_total{")
        and 'direction="inbound"' in line
        and not line.endswith(" 0")
    ]


@pytest.mark.parametrize("authority_labels", [False, True])
@every_way
async def test_the_workload_never_sees_the_name(way: str, *, authority_labels: bool) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=way, authority_labels=authority_labels)
        await talk(address, FORGED, until=b"ok")
    assert b"l5d-dst-canonical" not in server.heads[0].lower()
    assert b"127.0.0.1:31001" in server.heads[0]


async def test_a_server_that_is_not_meshed_never_sees_the_name() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _target, address = made.outbound(server.address)
        await talk(address, FORGED, until=b"ok")
    assert b"l5d-dst-canonical" not in server.heads[0].lower()


@pytest.mark.parametrize("way", [TLS, HEADER])
async def test_inbound_counts_by_the_name_a_proven_peer_gave(way: str) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=way, authority_labels=True)
        await talk(address, FORGED, until=b"ok")
        lines = inbound_requests(made)
    assert len(lines) == 1
    assert 'authority="svc.test:80"' in lines[0]


@pytest.mark.parametrize("way", [TWO, "straight", "straight, where others prove who they are"])
async def test_whoever_has_proven_nothing_names_no_label(way: str) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        if way == TWO:
            address = way_to(made, server.address, way=way, authority_labels=True)
        else:
            identity = None if way == "straight" else identity_of(mesh(), "voting")
            address = made.inbound(server.address, identity=identity, authority_labels=True)
        await talk(address, FORGED, until=b"ok")
        lines = inbound_requests(made)
    assert len(lines) == 1
    assert 'authority="127.0.0.1:31001"' in lines[0]


async def test_without_authority_labels_inbound_does_not_tell_names_apart() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=TWO)
        await talk(address, FORGED, until=b"ok")
        lines = inbound_requests(made)
    assert len(lines) == 1
    assert "authority=" not in lines[0]
