"""Our HTTP/2 server against `h2`: what a client that keeps the rules may expect."""

from typing import Any

import h2.events
import h2.settings
import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ServerDoor
from tests.contract.http2.peers import (
    ACK,
    DATA,
    GOAWAY,
    PING,
    POST,
    REQUEST,
    Scene,
    frame,
    headers_frame,
)

CANCEL, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM = 8, 0, 1, 7


def answer(status: int = 200, body: bytes = b"hello", **more: Any) -> Any:
    """Answers each request when it has ended."""

    def on_event(peer: Any, name: str) -> None:
        if peer.ended and name != "reset":
            peer.respond(status, **more)
            peer.send(body, end=True)

    return on_event


def test_a_request_arrives_as_a_head_and_the_answer_goes_back(scene: Scene) -> None:
    door, client = scene.server(answer())
    stream = client.request([*REQUEST, ("accept", "*/*"), ("x-one", "1"), ("x-one", "2")])
    scene.until(lambda: client.ended(stream))
    (kind, head) = door.peers[0].events[0]
    assert kind == "head"
    assert head["method"] == b"GET"
    assert head["scheme"] == b"http"
    assert head["authority"] == b"test"
    assert head["path"] == b"/"
    assert head["fields"] == [(b"accept", b"*/*"), (b"x-one", b"1"), (b"x-one", b"2")]
    assert head["end"] is True
    assert head["content_length"] == -1
    assert client.status(stream) == "200"
    assert client.bodies[stream] == b"hello"


def test_a_body_arrives_with_its_length_and_its_end(scene: Scene) -> None:
    door, client = scene.server(answer())
    stream = client.request([*POST, ("content-length", "10")], end=False)
    client.body(stream, b"01234")
    client.body(stream, b"56789", end=True)
    scene.until(lambda: client.ended(stream))
    peer = door.peers[0]
    assert peer.events[0][1]["content_length"] == 10
    assert peer.body == b"0123456789"
    assert peer.names()[-1] == "end"


def test_trailers_go_both_ways(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "trailers":
            peer.respond(200, [(b"content-type", b"application/grpc")])
            peer.send(b"reply")
            peer.trailers([(b"grpc-status", b"0"), (b"Grpc-Message", b"fine")])

    door, client = scene.server(on_event)
    stream = client.request([*POST, ("content-type", "application/grpc+proto")], end=False)
    client.body(stream, b"ask")
    client.h2.send_headers(
        stream, [("x-checksum", "abc"), ("content-length", "3")], end_stream=True
    )
    client.flush()
    scene.until(lambda: client.ended(stream))
    peer = door.peers[0]
    assert peer.events[0][1]["is_grpc"] is True
    assert peer.events[-1] == ("trailers", [(b"x-checksum", b"abc")])
    assert client.bodies[stream] == b"reply"
    (trailers,) = client.of(h2.events.TrailersReceived, stream)
    assert trailers.headers == [("grpc-status", "0"), ("grpc-message", "fine")]


def test_trailers_without_a_body_follow_the_head(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.respond(200)
        peer.trailers([(b"grpc-status", b"5")])

    _, client = scene.server(on_event)
    stream = client.request()
    scene.until(lambda: client.ended(stream))
    assert client.of(h2.events.TrailersReceived, stream)[0].headers == [("grpc-status", "5")]
    assert not client.of(h2.events.DataReceived, stream)


def test_trailers_that_hold_nothing_still_end_the_message(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.respond(200)
        peer.send(b"x")
        peer.trailers([(b"connection", b"close")])

    _, client = scene.server(on_event)
    stream = client.request()
    scene.until(lambda: client.ended(stream))
    assert client.bodies[stream] == b"x"


def test_interim_responses_precede_the_final_one(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.interim(100)
        peer.interim(103, [(b"link", b"</style.css>")])
        peer.respond(204, end=True)

    _, client = scene.server(on_event)
    stream = client.request([*POST, ("expect", "100-continue")])
    scene.until(lambda: client.ended(stream))
    interims = client.of(h2.events.InformationalResponseReceived, stream)
    assert [dict(e.headers)[":status"] for e in interims] == ["100", "103"]
    assert client.status(stream) == "204"


def test_a_head_from_http1_is_fit_for_http2(scene: Scene) -> None:
    fields = [
        (b"Content-Type", b"text/plain"),
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"Upgrade", b"websocket"),
        (b"TE", b"deflate, trailers"),
    ]
    _, client = scene.server(lambda peer, name: peer.respond(200, fields, end=True))
    stream = client.request()
    scene.until(lambda: client.ended(stream))
    (response,) = client.of(h2.events.ResponseReceived, stream)
    assert response.headers == [
        (":status", "200"),
        ("content-type", "text/plain"),
        ("te", "trailers"),
    ]


def test_cookie_crumbs_become_one_field(scene: Scene) -> None:
    door, client = scene.server(answer())
    crumbs = [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2"), ("cookie", "c=3")]
    stream = client.request([*REQUEST, *crumbs])
    scene.until(lambda: client.ended(stream))
    fields = door.peers[0].events[0][1]["fields"]
    assert fields == [(b"cookie", b"a=1; b=2; c=3"), (b"x-between", b"y")]


def test_host_stands_in_for_a_missing_authority(scene: Scene) -> None:
    door, client = scene.server(answer())
    stream = client.request([*REQUEST[:3], ("host", "by-host:80")])
    scene.until(lambda: client.ended(stream))
    head = door.peers[0].events[0][1]
    assert head["authority"] == b"by-host:80"
    assert head["fields"] == []


def test_an_equal_host_beside_the_authority_is_taken_once(scene: Scene) -> None:
    door, client = scene.server(answer())
    stream = client.request([*REQUEST, ("host", "test")])
    scene.until(lambda: client.ended(stream))
    assert door.peers[0].events[0][1]["fields"] == []


def test_options_asterisk_is_served(scene: Scene) -> None:
    door, client = scene.server(answer())
    fields = [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "test")]
    stream = client.request(fields)
    scene.until(lambda: client.ended(stream))
    assert door.peers[0].events[0][1]["path"] == b"*"


def test_connect_is_answered_501_without_an_exchange(scene: Scene) -> None:
    door, client = scene.server()
    stream = client.request([(":method", "CONNECT"), (":authority", "test:443")], end=False)
    scene.until(lambda: client.reset_code(stream) is not None)
    assert client.status(stream) == "501"
    assert client.reset_code(stream) == NO_ERROR
    assert door.peers == []


def test_a_reset_of_the_client_is_reported_with_its_code(scene: Scene) -> None:
    door, client = scene.server()
    stream = client.request(end=False)
    scene.until(lambda: door.peers)
    client.h2.reset_stream(stream, CANCEL)
    client.flush()
    peer = door.peers[0]
    scene.until(lambda: "reset" in peer.names())
    assert peer.events[-1] == ("reset", "protocol", CANCEL)
    assert door.streams == 0
    assert not peer.connected


def test_a_reset_of_ours_carries_its_code(scene: Scene) -> None:
    door, client = scene.server(lambda peer, name: peer.reset(REFUSED_STREAM))
    stream = client.request(end=False)
    scene.until(lambda: client.reset_code(stream) is not None)
    assert client.reset_code(stream) == REFUSED_STREAM
    assert door.streams == 0
    assert not door.peers[0].reports_here


def test_a_reset_drops_what_was_queued(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.respond(200)
        peer.send(b"x" * 100_000)
        peer.reset(CANCEL)

    door, client = scene.server(on_event)
    stream = client.request()
    scene.until(lambda: client.reset_code(stream) is not None)
    assert door.queued == 0
    assert not client.ended(stream)


def test_an_early_answer_ends_the_upload_with_no_error(scene: Scene) -> None:
    door, client = scene.server(lambda peer, name: name == "head" and peer.respond(413, end=True))
    stream = client.request(POST, end=False)
    scene.until(lambda: client.reset_code(stream) is not None)
    assert client.status(stream) == "413"
    assert client.ended(stream)
    assert client.reset_code(stream) == NO_ERROR
    assert door.streams == 0
    assert door.budgets[1] <= 0


def test_no_error_after_a_whole_answer_does_not_cut_it(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 200_000, end=True)
            peer.reset(NO_ERROR)

    _, client = scene.server(on_event)
    stream = client.request(POST, end=False)
    scene.until(lambda: client.ended(stream))
    assert len(client.bodies[stream]) == 200_000


def test_commands_to_a_stream_that_is_gone_do_nothing(scene: Scene) -> None:
    door, client = scene.server(answer())
    first = client.request()
    scene.until(lambda: client.ended(first))
    stale = door.peers[0]
    second = client.request(POST, end=False)
    scene.until(lambda: len(door.peers) == 2)
    stale.respond(500)
    stale.send(b"wrong", end=True)
    stale.trailers([(b"x", b"y")])
    stale.reset(CANCEL)
    stale.hold()
    stale.unhold()
    stale.release_head()
    client.body(second, b"", end=True)
    scene.until(lambda: client.ended(second))
    assert client.bodies[second] == b"hello"


def test_a_released_head_leaves_the_stream_alone(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.release_head()
        peer.release_head()
        if peer.ended:
            peer.respond(200, end=True)

    _, client = scene.server(on_event)
    stream = client.request(POST, end=False)
    client.body(stream, b"body", end=True)
    scene.until(lambda: client.ended(stream))


def test_more_streams_than_announced_are_refused(scene: Scene) -> None:
    door, client = scene.server(max_concurrent_streams=2)
    client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    client.h2.remote_settings.acknowledge()
    streams = [client.request() for _ in range(3)]
    scene.until(lambda: client.reset_code(streams[2]) is not None)
    assert client.reset_code(streams[2]) == REFUSED_STREAM
    assert len(door.peers) == 2


def test_draining_lets_streams_finish_and_names_the_last(scene: Scene) -> None:
    # `h2` itself takes no frame after a GOAWAY, so this client is made of frames.
    door, client = scene.raw_server()
    client.send(headers_frame(1))
    scene.until(lambda: door.peers)
    door.drain()
    door.drain()
    scene.until(lambda: len(client.of(PING)) == 1)
    assert client.goaway == (2**31 - 1, NO_ERROR)
    client.send(headers_frame(3) + frame(PING, ACK, 0, client.of(PING)[0][3]))
    scene.until(lambda: len(client.of(GOAWAY)) == 2)
    assert client.goaway == (3, NO_ERROR)
    assert not door.over
    client.send(headers_frame(5))
    scene.settle()
    assert len(door.peers) == 2
    for peer in door.peers:
        peer.respond(200)
        peer.send(b"last", end=True)
    scene.until(lambda: client.closed)
    assert [f[3] for f in client.of(DATA)] == [b"last", b"last"]
    assert door.over


def test_draining_does_not_wait_for_a_silent_client(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1))
    scene.until(lambda: door.peers)
    door.drain()
    scene.until(lambda: len(client.of(GOAWAY)) == 2, timeout_s=10)
    assert client.goaway == (1, NO_ERROR)


def test_draining_an_idle_connection_closes_it(scene: Scene) -> None:
    door, client = scene.server()
    scene.until(lambda: client.of(h2.events.SettingsAcknowledged))
    door.drain()
    scene.until(lambda: client.closed)
    assert not client.reset_seen


def test_the_end_of_the_connection_resets_every_stream(scene: Scene) -> None:
    door, client = scene.server()
    client.request(end=False)
    client.request(end=False)
    scene.until(lambda: len(door.peers) == 2)
    client.sock.shutdown(1)
    scene.until(lambda: door.closed)
    assert [p.events[-1] for p in door.peers] == [("reset", "eof", 0)] * 2


def test_an_aborted_connection_resets_every_stream(scene: Scene) -> None:
    door, client = scene.server()
    client.request(end=False)
    scene.until(lambda: door.peers)
    client.sock.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")
    client.sock.close()
    client.closed = True
    scene.until(lambda: door.over)
    assert door.peers[0].events[-1] == ("reset", "reset", 0)


def test_an_idle_connection_leases_nothing(scene: Scene) -> None:
    door, client = scene.server(answer())
    stream = client.request()
    scene.until(lambda: client.ended(stream))
    scene.settle()
    assert not door.leases
    assert door.streams == 0


def test_an_exception_of_a_peer_ends_the_connection(scene: Scene, failures: list[str]) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            raise ZeroDivisionError("planted")

    door, client = scene.server(on_event)
    client.request()
    scene.until(lambda: client.closed)
    assert door.over
    assert len(failures) == 1
    assert "planted" in failures.pop()


def test_an_idle_client_is_pinged_and_lives_when_it_answers(scene: Scene) -> None:
    door, client = scene.server(ping_interval_ns=30_000_000, ping_timeout_ns=2_000_000_000)
    scene.until(lambda: len(client.of(h2.events.PingReceived)) >= 2)
    assert not door.over


def test_a_silent_client_is_given_up(scene: Scene) -> None:
    door, client = scene.raw_server(ping_interval_ns=30_000_000, ping_timeout_ns=30_000_000)
    scene.until(lambda: client.of(PING))
    scene.until(lambda: client.closed)
    assert door.over


def test_a_client_that_says_nothing_is_given_up(scene: Scene) -> None:
    door, _ = scene.raw_server(head_timeout_ns=30_000_000)
    fd, sock = scene.sockets()
    silent = ServerDoor(scene.loop, fd, Limits(head_timeout_ns=30_000_000))
    scene.doors.append(silent)
    scene.until(lambda: silent.over)
    assert not door.over
    sock.close()


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 65_535, 65_536, 300_000])
def test_bodies_of_any_size_arrive_whole(scene: Scene, size: int) -> None:
    payload = bytes(i % 251 for i in range(size))

    def on_event(peer: Any, name: str) -> None:
        if peer.ended and name == "end":
            peer.respond(200)
            peer.send(peer.body, end=True)

    _, client = scene.server(on_event)
    stream = client.request(POST, end=False)
    sent = 0
    while sent < size:
        room = min(client.h2.local_flow_control_window(stream), 16_384, size - sent)
        client.body(stream, payload[sent : sent + room])
        sent += room
        if room == 0:
            scene.until(lambda: client.h2.local_flow_control_window(stream) > 0)
    client.body(stream, b"", end=True)
    scene.until(lambda: client.ended(stream))
    assert client.bodies.get(stream, b"") == payload
