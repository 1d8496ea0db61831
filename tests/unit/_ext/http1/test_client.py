"""The client codec on real connections: requests out, responses in, reuse, and every way to fail."""

from collections.abc import Callable
from typing import Any

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.testing import (
    Owner,
    Recorder,
    call,
    connection,
    cut,
    is_reusable,
    open_stream,
    retire,
)
from tests.support.http1_bench import Bench

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def outcome(recorder: Recorder) -> tuple[Any, ...]:
    return recorder.events[-1]


def told(owner: Owner) -> Callable[[], bool]:
    return lambda: bool(owner.events)


# ---- requests


def test_a_request_is_written_and_its_response_reported(bench: Bench) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request()
    wire.expect(REQUEST)
    wire.send(OK)
    assert peer.names() == ["head", "body"]
    assert peer.events[0][1]["status"] == 200
    assert peer.body() == b"hi"
    assert owner.events == [("room",)]
    assert is_reusable(client)
    assert not peer.live


def test_a_connection_is_used_again_and_holds_nothing_between(bench: Bench) -> None:
    wire, owner, client = bench.client()
    for count in (1, 2, 3):
        peer = open_stream(client)
        peer.request()
        wire.expect(REQUEST * count)
        wire.send(OK)
        assert peer.body() == b"hi"
        assert owner.events == [("room",)] * count
    state = connection(client)
    assert (state["inbox"], state["outbox"], state["paused"]) == (False, False, False)


def test_the_next_stream_opens_from_inside_the_report_of_room(bench: Bench) -> None:
    wire, owner, client = bench.client()
    peers = [open_stream(client)]

    def again(connected: Any) -> None:
        if len(peers) < 3:
            peers.append(open_stream(connected))
            peers[-1].request()

    owner.react = again
    peers[0].request()
    for count in (1, 2, 3):
        wire.expect(REQUEST * count)
        wire.send(OK)
    assert [peer.body() for peer in peers] == [b"hi"] * 3


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({"length": 0}, b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
        ({"method": b"OPTIONS", "target": b"*"}, b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        ({"version": 0, "fields": (), "authority": b""}, b"GET / HTTP/1.0\r\n\r\n"),
        ({"fields": (), "authority": b""}, b"GET / HTTP/1.1\r\nhost: \r\n\r\n"),
        ({"fields": ()}, REQUEST),
        (
            {"version": 2, "fields": [(b"host", b"b"), (b"x", b"y")]},
            b"GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n",
        ),
        ({"absolute": b"http://b/x"}, b"GET http://b/x HTTP/1.1\r\nhost: a\r\n\r\n"),
        ({"method": b"CONNECT", "authority": b"a:1"}, b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            {"fields": [(b"host", b"a"), (b"te", b"trailers")]},
            b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n",
        ),
        (
            {"fields": [(b"host", b"a"), (b"upgrade", b"x")], "upgrade": True},
            b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ),
        (
            {
                "fields": [(b"host", b"a"), (b"te", b"trailers"), (b"upgrade", b"x")],
                "upgrade": True,
            },
            b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nupgrade: x\r\nconnection: upgrade, te\r\n\r\n",
        ),
        (
            {
                "fields": [
                    (b"host", b"a"),
                    (b"connection", b"x"),
                    (b"keep-alive", b"1"),
                    (b"upgrade", b"y"),
                ]
            },
            REQUEST,
        ),
    ],
)
def test_requests_without_a_body(bench: Bench, options: dict[str, Any], written: bytes) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request(**options)
    wire.expect(written)


def test_a_body_of_known_length_is_sent_as_it_is(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request(b"POST", end=False, length=5)
    peer.send(b"12")
    wire.settle()
    peer.send(b"345", end=True)
    wire.expect(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
    wire.send(OK)
    assert peer.ended


def test_a_body_of_unknown_length_is_chunked_with_its_trailers(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request(b"POST", end=False)
    peer.send(b"abc")
    peer.send(b"")
    peer.trailers([(b"x", b"y")])
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    wire.expect(head + b"3\r\nabc\r\n0\r\nx: y\r\n\r\n")


def test_a_body_of_unknown_length_needs_1_1_whatever_its_head_said(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request(b"POST", fields=(), authority=b"", version=0, end=False)
    peer.send(b"abc", end=True)
    head = b"POST / HTTP/1.1\r\nhost: \r\ntransfer-encoding: chunked\r\n\r\n"
    wire.expect(head + b"3\r\nabc\r\n0\r\n\r\n")


def test_head_and_small_body_travel_together(bench: Bench) -> None:
    wire, _, client, peer = bench.exchange()
    peer.request(b"POST", end=False, length=3)
    peer.send(b"abc", end=True)
    assert connection(client)["sent"] == 0  # with the end of the batch, beside those of others
    wire.settle()
    assert connection(client)["sent"] == len(
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
    )


def test_bytes_that_came_before_the_request_left_are_not_its_response(bench: Bench) -> None:
    wire, _, client, peer = bench.exchange()
    peer.request()
    wire.push(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert connection(client)["sent"] == 0
    wire.settle()
    assert [event[0] for event in peer.events] == ["reset"]
    assert wire.received == b""


@pytest.mark.parametrize("sent", [b"abc", b"123456"])
def test_a_body_of_another_length_than_promised_is_cut(bench: Bench, sent: bytes) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request(b"POST", end=False, length=5)
    peer.send(sent, end=True)
    assert peer.events == []
    wire.until(lambda: wire.ended)
    assert outcome(peer)[:2] == ("reset", "protocol")
    assert owner.events == [("closed", "protocol")]


@pytest.mark.parametrize(
    "options",
    [
        {"length": 5},
        {"version": 2, "target": b"/a b"},
        {"version": 2, "target": b"/a\r\nx: y"},
        {"version": 2, "authority": b"a\r\nx: y"},
        {"version": 2, "method": b"GET /x"},
        {"version": 2, "fields": [(b"x", b"a\r\ny: z")]},
        {"version": 2, "fields": [(b"x y", b"z")]},
    ],
)
def test_heads_that_cannot_be_written_faithfully_are_refused(
    bench: Bench, options: dict[str, Any]
) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request(**options)
    assert peer.events == []
    wire.until(lambda: wire.ended)
    assert wire.received == b""
    assert peer.events == [("reset", "protocol", False)]
    assert owner.events == [("closed", "protocol")]
    assert not is_reusable(client)


# ---- responses


@pytest.mark.parametrize("step", [0, 1, 2, 5])
@pytest.mark.parametrize(
    ("response", "body", "trailers"),
    [
        (OK, b"hi", []),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", []),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nA: b\r\nHost: c\r\n\r\n",
            b"hi",
            [(b"A", b"b")],
        ),
        (b"HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + OK, b"hi", []),
        (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", b"", []),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", []),
    ],
)
def test_responses_arrive_in_any_pieces(
    bench: Bench, response: bytes, body: bytes, trailers: list[tuple[bytes, bytes]], step: int
) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(response, step=step)
    assert peer.ended
    assert peer.body() == body
    assert [event[1] for event in peer.events if event[0] == "trailers"] == (
        [trailers] if trailers else []
    )
    assert owner.events == [("room",)]
    assert is_reusable(client)


def test_the_body_of_a_head_response_is_not_awaited(bench: Bench) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request(b"HEAD")
    wire.settle()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    assert peer.ended
    assert peer.events[0][1]["content_length"] == 500
    assert owner.events == [("room",)]


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_a_response_that_says_close_ends_the_connection_not_the_client(
    bench: Bench, response: bytes
) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(response)
    assert peer.ended
    assert not peer.events[0][1]["wants_close"]
    assert owner.events == [("closed", "none")]
    assert not is_reusable(client)
    wire.expect_end()


def test_a_response_until_close_ends_with_the_connection(bench: Bench) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
    wire.send(b" more")
    assert peer.events[-1] == ("body", b" more", False)
    wire.finish()
    assert peer.ended
    assert peer.body() == b"some more"
    assert owner.events == [("closed", "none")]


def test_a_response_until_close_that_is_reset_is_not_complete(bench: Bench) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
    wire.cut()
    assert bench.loop.run_until(lambda: owner.events)
    assert outcome(peer) == ("reset", "reset", False)
    assert not peer.ended


def test_a_held_response_until_close_ends_after_it_is_let_go(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
    peer.hold()
    peer.hold()
    wire.send(b" more")
    wire.finish()
    assert peer.body() == b"some"
    peer.unhold()
    peer.unhold()
    wire.until(lambda: peer.ended)
    assert peer.body() == b"some more"


def test_a_held_response_whose_end_came_alone_ends_after_it_is_let_go(bench: Bench) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
    peer.hold()
    wire.finish()
    assert peer.events[-1] == ("body", b"some", False)
    peer.unhold()
    wire.until(lambda: peer.ended)
    assert owner.events == [("closed", "none")]


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_cut_short_is_a_reset(bench: Bench, response: bytes) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(response)
    wire.finish()
    wire.until(lambda: owner.events)
    assert outcome(peer) == ("reset", "eof", False)
    assert owner.events == [("closed", "eof")]


@pytest.mark.parametrize(
    "response",
    [
        b"NONSENSE\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000,
    ],
)
def test_a_malformed_response_ends_the_connection(bench: Bench, response: bytes) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(response)
    assert outcome(peer) == ("reset", "protocol", False)
    assert owner.events == [("closed", "protocol")]


def test_interim_responses_are_counted(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange(limits=Limits(interim_responses=3))
    peer.request()
    wire.settle()
    wire.send(b"HTTP/1.1 103 X\r\n\r\n" * 3)
    assert peer.names() == ["interim"] * 3
    wire.send(b"HTTP/1.1 103 X\r\n\r\n")
    assert outcome(peer) == ("reset", "protocol", False)


def test_large_heads_and_trailers_find_room(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(60))
    trailers = b"Y: " + b"t" * 16000 + b"\r\n"
    wire.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        + fields
        + b"\r\n2\r\nhi\r\n0\r\n"
        + trailers
        + b"\r\n",
        step=9000,
    )
    assert len(peer.events[0][1]["fields"]) == 60
    assert outcome(peer) == ("trailers", [(b"Y", b"t" * 16000)])


# ---- reuse


@pytest.mark.parametrize("stale", [b"x", OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_bytes_while_idle_make_a_connection_worthless(bench: Bench, stale: bytes) -> None:
    wire, owner, client = bench.client()
    wire.send(stale)
    assert owner.events == [("closed", "protocol")]
    assert not is_reusable(client)
    wire.until(lambda: wire.ended)


def test_bytes_behind_a_response_make_a_connection_worthless(bench: Bench) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(OK + b"HTTP/1.1 200 OK\r\n")
    assert peer.ended
    assert owner.events == [("closed", "protocol")]
    assert not is_reusable(client)


def test_an_end_while_idle_is_told(bench: Bench) -> None:
    wire, owner, client = bench.client()
    wire.finish()
    assert owner.events == [("closed", "eof")]
    assert not is_reusable(client)


def test_a_reset_while_idle_is_told(bench: Bench) -> None:
    wire, owner, _ = bench.client()
    wire.cut()
    assert bench.loop.run_until(lambda: owner.events)
    assert owner.events == [("closed", "reset")]


def test_a_connection_that_had_ended_when_it_was_attached_is_closed_later(bench: Bench) -> None:
    for spoil in ("bytes", "end"):
        wire, fd = bench.pair()
        if spoil == "bytes":
            wire.end.sendall(b"early")
        else:
            wire.finish()
        owner = Owner()
        call(bench.loop, fd, owner)
        wire.until(told(owner))
        assert owner.events[0][0] == "closed"


def test_a_stream_on_a_dead_connection_is_refused(bench: Bench) -> None:
    wire, owner, client = bench.client()
    wire.finish()
    peer = open_stream(client)
    peer.request()
    assert peer.events == []
    wire.until(lambda: peer.events)
    assert peer.events == [("reset", "eof", True)]
    assert owner.events == [("closed", "eof")]


def test_a_request_on_a_connection_that_dies_before_a_byte_is_refused(bench: Bench) -> None:
    wire, _, client = bench.client()
    peer = open_stream(client)
    wire.cut()
    peer.request(end=False, length=5)
    assert bench.loop.run_until(lambda: peer.events)
    assert peer.events == [("reset", "reset", True)]


def test_a_request_that_was_written_is_not_refused(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.cut()
    assert bench.loop.run_until(lambda: peer.events)
    assert peer.events == [("reset", "reset", False)]


def test_retire_closes_now_when_idle_and_later_when_busy(bench: Bench) -> None:
    wire, owner, client = bench.client()
    retire(client)
    assert owner.events == [("closed", "local")]
    wire.expect_end()
    wire, owner, client, peer = bench.exchange()
    peer.request()
    retire(client)
    assert owner.events == []
    wire.settle()
    wire.send(OK)
    assert peer.ended
    assert owner.events == [("closed", "none")]
    wire.expect_end()


def test_an_answer_before_the_whole_request_is_never_reused(bench: Bench) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request(b"POST", end=False, length=5)
    peer.send(b"12")
    wire.settle()
    wire.send(OK)
    assert peer.ended
    assert owner.events == [("closed", "none")]
    assert not is_reusable(client)
    wire.expect_cut()


def test_a_request_may_end_while_its_response_is_under_way(bench: Bench) -> None:
    wire, owner, _, peer = bench.exchange()
    peer.request(b"POST", end=False, length=5)
    wire.settle()
    wire.send(OK[:-1])
    peer.send(b"12345", end=True)
    wire.settle()
    wire.send(b"i")
    assert peer.ended
    assert owner.events == [("room",)]


def test_a_reset_cuts_the_connection_and_tells_the_owner_later(bench: Bench) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request()
    wire.settle()
    peer.reset()
    peer.reset()
    assert owner.events == []
    wire.until(lambda: owner.events)
    assert owner.events == [("closed", "local")]
    assert peer.events == []
    wire.expect_cut()
    assert not is_reusable(client)


def test_a_reset_from_inside_a_report_stops_the_reports(bench: Bench) -> None:
    def cancel(recorder: Recorder, event: tuple[Any, ...]) -> None:
        recorder.reset()

    wire, owner, client = bench.client()
    peer = open_stream(client, cancel)
    peer.request()
    wire.settle()
    wire.send(OK)
    assert peer.names() == ["head"]
    wire.until(lambda: owner.events)
    assert owner.events == [("closed", "local")]


# ---- back-pressure


def test_an_endpoint_that_does_not_read_stops_the_request(bench: Bench) -> None:
    wire, _, client = bench.client(receive_bytes=32768)
    peer = open_stream(client)
    result = peer.request(b"POST", end=False)
    while result == 0:
        result = peer.send(b"x" * 8000)
        bench.loop.drain()
    assert connection(client)["unsent"] > 0
    wire.until(lambda: peer.events)
    assert peer.events == [("room",)]


def test_a_held_response_stops_reading(bench: Bench) -> None:
    wire, _, client, peer = bench.exchange()
    peer.request()
    wire.settle()
    peer.hold()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")
    assert connection(client)["paused"]
    assert peer.events == []
    peer.unhold()
    wire.until(lambda: peer.events)
    assert peer.names() == ["head"]


# ---- tunnels


def test_an_upgrade_becomes_a_tunnel_with_the_bytes_behind_it(bench: Bench) -> None:
    tunnels = []

    def take(recorder: Recorder, event: tuple[Any, ...]) -> None:
        tunnels.append(recorder.into_tunnel())

    wire, owner, client = bench.client()
    peer = open_stream(client, take)
    peer.request(fields=[(b"host", b"a"), (b"upgrade", b"x")], upgrade=True)
    wire.settle()
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfirst")
    assert peer.names() == ["head"]
    assert peer.events[0][1]["upgrade"]
    assert tunnels[0].received == b"first"
    wire.until(lambda: owner.events)
    assert owner.events == [("closed", "none")]
    assert not is_reusable(client)
    tunnels[0].close()


def test_connect_becomes_a_tunnel(bench: Bench) -> None:
    tunnels = []

    def take(recorder: Recorder, event: tuple[Any, ...]) -> None:
        tunnels.append(recorder.into_tunnel())

    wire, _, client = bench.client()
    peer = open_stream(client, take)
    peer.request(b"CONNECT", authority=b"b:1")
    wire.settle()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
    assert tunnels[0].received == b"first"
    tunnels[0].close()


@pytest.mark.parametrize(
    "options",
    [
        {"fields": [(b"host", b"a"), (b"upgrade", b"x")], "upgrade": True},
        {"method": b"CONNECT", "authority": b"b:1"},
    ],
)
def test_a_refused_tunnel_is_an_ordinary_response_on_a_connection_that_is_not_reused(
    bench: Bench, options: dict[str, Any]
) -> None:
    wire, owner, client, peer = bench.exchange()
    peer.request(**options)
    wire.settle()
    wire.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    assert peer.body() == b"no"
    assert owner.events == [("closed", "none")]
    assert not is_reusable(client)


def test_commands_after_the_end_do_nothing(bench: Bench) -> None:
    wire, _, _, peer = bench.exchange()
    peer.request()
    wire.settle()
    wire.send(OK)
    peer.request()
    peer.send(b"x")
    peer.trailers([])
    peer.hold()
    peer.unhold()
    peer.release_head()
    peer.reset()
    wire.settle()
    assert wire.received == REQUEST
    assert peer.names() == ["head", "body"]
    with pytest.raises(RuntimeError):
        peer.into_tunnel()


def test_a_transport_ended_by_its_owner_leaves_a_quiet_codec(bench: Bench) -> None:
    _, owner, client, peer = bench.exchange()
    peer.request(b"POST", end=False)
    cut(client)
    peer.send(b"x", end=True)
    peer.hold()
    peer.unhold()
    peer.reset()
    assert bench.loop.run_until(lambda: owner.events)
    assert peer.events == []
    _, _, client = bench.client()
    cut(client)
    late = open_stream(client)
    late.request()
    assert bench.loop.run_until(lambda: late.events)
    assert late.events == [("reset", "eof", True)]
