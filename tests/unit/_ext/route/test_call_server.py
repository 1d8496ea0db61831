"""Whom a server of calls lets in, how long, and how it ends."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.route.call_server import CallServer
from tests.support.call_rig import Calls
from tests.support.http2_script import END_HEADERS, END_STREAM, HEADERS
from tests.support.route_rig import GET, Rig

MS = 1_000_000


def frames(wire: bytes) -> list[tuple[int, int, int]]:
    """Kind, flags and stream of each."""
    found = []
    while wire:
        length = int.from_bytes(wire[:3], "big")
        found.append((wire[3], wire[4], int.from_bytes(wire[5:9], "big")))
        wire = wire[9 + length :]
    return found


@pytest.fixture
def calls(rig: Rig) -> Iterator[Calls]:
    made = Calls(rig, connections_max=2, calls_max=3)
    yield made
    made.close()


def test_http1_is_no_call(calls: Calls) -> None:
    client = calls.rig.connect(calls.address)
    client.send(GET)
    calls.until(lambda: client.take() and client.end)
    # As servers of gRPC do: their settings, GOAWAY, the end.
    assert client.received[3] == 4
    assert client.received[-17 + 3] == 7
    assert client.end == "fin"
    assert calls.server.connections == 0


def test_who_says_nothing_is_held_for_so_long(rig: Rig) -> None:
    calls = Calls(rig, limits=Limits(head_timeout_ns=20 * MS))
    client = rig.connect(calls.address)
    rig.until(lambda: client.take() and client.end)
    calls.close()


def test_a_connection_without_calls_ends_and_one_with_a_call_does_not(rig: Rig) -> None:
    calls = Calls(rig, idle_ns=30 * MS, limits=Limits(ping_interval_ns=0))
    idle, busy = calls.client(), calls.client()
    stream = busy.ask()
    calls.until(lambda: idle.goaways and idle.link.end)
    assert not busy.goaways
    calls.asked[0].call.finish()
    calls.until(lambda: stream.end)
    calls.until(lambda: busy.goaways and busy.link.end)
    calls.close()


def test_one_connection_more_ends_an_idle_one_or_is_refused(calls: Calls) -> None:
    idle, busy = calls.client(), calls.client()
    busy.ask()
    calls.until(lambda: calls.server.connections == 2 and calls.asked)
    third = calls.client()
    third.ask()
    calls.until(lambda: len(calls.asked) == 2)
    assert idle.link.end
    assert not busy.link.end
    refused = calls.rig.connect(calls.address)
    calls.until(lambda: refused.take() or refused.end)
    assert refused.end == "reset"
    assert calls.server.refused == 1
    assert calls.server.connections == 2


def test_one_call_more_is_refused(calls: Calls) -> None:
    client = calls.client()
    for _ in range(3):
        client.ask()
    calls.until(lambda: calls.server.open == 3)
    refused = client.ask()
    calls.until(lambda: refused.end)
    assert refused.status == "8"
    calls.asked[0].call.finish()
    client.ask()
    calls.until(lambda: len(calls.asked) == 4)


def test_calls_that_have_not_been_asked_count_too(calls: Calls) -> None:
    client = calls.client()
    for _ in range(3):
        client.begin()
    refused = client.streams[client.begin()]
    calls.until(lambda: refused.end)
    assert refused.status == "8"


def test_streams_of_a_connection_are_bounded(rig: Rig) -> None:
    calls = Calls(rig, limits=Limits(max_concurrent_streams=2))
    client = calls.client()
    calls.settle()
    assert client.h2.remote_settings.max_concurrent_streams == 2
    calls.close()


def test_draining_lets_calls_end_and_tells_when_the_last_has(calls: Calls) -> None:
    empty: list[int] = []
    calls.server.on_empty = lambda: empty.append(1)
    idle, busy = calls.client(), calls.client()
    busy.ask()
    calls.until(lambda: calls.asked)
    calls.server.drain()
    calls.until(lambda: idle.link.end and busy.goaways)
    before = len(busy.link.received)
    assert not empty
    calls.asked[0].call.finish()
    calls.until(lambda: busy.link.end)
    # The whole answer, after the GOAWAYs: HEADERS that end stream 1, the first.
    kinds = frames(busy.link.received[before:])
    assert (HEADERS, END_STREAM | END_HEADERS, 1) in kinds
    calls.until(lambda: empty == [1])
    assert calls.server.connections == 0


def test_who_is_held_waits_until_the_start(rig: Rig) -> None:
    calls = Calls(rig)
    found = calls.server.listen("127.0.0.1", 0, hold=True)
    calls.address = (found.host, found.port)
    calls.client().ask()
    calls.settle()
    assert not calls.asked
    calls.server.start()
    calls.until(lambda: calls.asked)
    calls.close()


def test_a_taken_port_is_an_error(calls: Calls) -> None:
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1"):
        calls.server.listen(*calls.address)


def test_a_loop_that_is_closed_ends_it(loop: Loop) -> None:
    server = CallServer(loop, on_call=lambda *_: None)
    server.listen("127.0.0.1", 0)
    loop.close()
    server.drain()
    assert server.connections == 0
