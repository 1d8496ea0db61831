"""Our HTTP/2 client against `h2`: what an endpoint that keeps the rules sees, and what exchanges are told
when it does not.
"""

import socket
from typing import Any

import h2.events
import h2.settings
import pytest
from hpack import Decoder, Encoder

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ClientDoor
from tests.contract.http2.peers import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    H2Peer,
    RawPeer,
    Scene,
    frame,
    headers_frame,
)

SettingCodes = h2.settings.SettingCodes
CANCEL, REFUSED_STREAM, PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 8, 7, 1, 11
STATUS_200 = [(":status", "200")]


def requests(server: H2Peer) -> list[Any]:
    return server.of(h2.events.RequestReceived)


def test_a_request_goes_out_and_the_answer_comes_back(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/path?q", b"test:80", [(b"accept", b"*/*")])
    scene.until(lambda: requests(server))
    (request,) = requests(server)
    assert request.headers == [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/path?q"),
        (":authority", "test:80"),
        ("accept", "*/*"),
    ]
    assert server.ended(request.stream_id)
    server.respond(request.stream_id, [(":status", "201"), ("content-length", "5")])
    server.body(request.stream_id, b"hello", end=True)
    scene.until(lambda: peer.ended)
    assert peer.events[0] == (
        "head",
        {
            "status": 201,
            "fields": [(b"content-length", b"5")],
            "content_length": 5,
            "end": False,
        },
    )
    assert peer.body == b"hello"
    scene.until(lambda: door.live() == 0)
    assert not peer.reports_here


def test_a_head_from_http1_is_fit_for_http2(scene: Scene) -> None:
    door, server = scene.client()
    fields = [
        (b"Host", b"test"),
        (b"User-Agent", b"x"),
        (b"Connection", b"close, x-gone"),
        (b"Keep-Alive", b"1"),
        (b"TE", b"gzip"),
        (b"Transfer-Encoding", b"chunked"),
        (b"HTTP2-Settings", b"AAMAAABkAAQCAAAAAAIAAAAA"),
        (b"Upgrade", b"h2c"),
        (b"Content-Length", b"007"),
        (b"Content-Length", b"007"),
    ]
    door.open().request(b"POST", b"/", b"test", fields, end=False, scheme=b"https")
    scene.until(lambda: requests(server))
    assert requests(server)[0].headers == [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "test"),
        ("user-agent", "x"),
        ("content-length", "7"),
    ]


def test_a_body_and_trailers_follow_the_head(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"POST", b"/", end=False, fields=[(b"te", b"trailers")])
    peer.send(b"one ")
    scene.until(lambda: server.of(h2.events.DataReceived))
    peer.send(b"two")
    peer.trailers([(b"X-Sum", b"7")])
    stream = requests(server)[0].stream_id
    scene.until(lambda: server.ended(stream))
    assert server.bodies[stream] == b"one two"
    assert server.of(h2.events.TrailersReceived)[0].headers == [("x-sum", "7")]


def test_trailers_and_interim_heads_of_the_endpoint(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    stream = requests(server)[0].stream_id
    server.respond(stream, [(":status", "103"), ("link", "x")])
    server.respond(stream, [(":status", "200"), ("content-type", "application/grpc")])
    server.h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
    server.flush()
    scene.until(lambda: peer.ended)
    assert peer.names() == ["interim", "head", "trailers"]
    assert peer.events[0][1]["status"] == 103
    assert peer.events[2] == ("trailers", [(b"grpc-status", b"0")])


def test_too_many_interim_heads_reset_the_stream(scene: Scene) -> None:
    door, server = scene.raw_client(interim_responses=3)
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    encoder = Encoder()
    for _ in range(5):
        server.send(headers_frame(1, [(":status", "102")], end=False, encoder=encoder))
    scene.until(lambda: server.of(RST_STREAM))
    assert peer.names() == ["interim"] * 3 + ["reset"]
    assert peer.events[-1] == ("reset", "protocol", ENHANCE_YOUR_CALM, False)


def test_a_large_upload_waits_for_windows_and_says_when_there_is_room(scene: Scene) -> None:
    door, server = scene.client()
    server.auto_credit = False
    peer = door.open()
    peer.request(b"POST", b"/", end=False)
    assert peer.send(b"x" * 65_535) == 0
    scene.until(lambda: door.queued == 0)
    assert peer.send(b"x" * 70_000) == 1
    stream = requests(server)[0].stream_id
    server.h2.acknowledge_received_data(65_535, stream)
    server.flush()
    scene.until(lambda: ("room",) in peer.events)
    server.auto_credit = True
    peer.send(b"", end=True)
    server.h2.acknowledge_received_data(len(server.bodies[stream]) - 65_535, stream)
    server.flush()
    scene.until(lambda: server.ended(stream))
    assert len(server.bodies[stream]) == 135_535


def test_the_endpoints_limit_is_never_exceeded(scene: Scene) -> None:
    rooms: list[int] = []
    door, server = scene.client(
        settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2}, on_room=lambda: rooms.append(1)
    )
    scene.until(lambda: door.room() == 2)
    assert door.events[0] == ("room", 2)
    first, second = door.open(), door.open()
    assert door.room() == 0
    first.request(b"GET", b"/")
    second.request(b"GET", b"/")
    scene.until(lambda: len(requests(server)) == 2)
    server.respond(requests(server)[0].stream_id, end=True)
    scene.until(lambda: door.room() == 1)
    assert door.events[-1] == ("room", 1)


def test_an_endpoint_that_allows_no_stream_gets_none(scene: Scene) -> None:
    door, server = scene.client(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    scene.until(lambda: door.room() == 0)
    # The owner learns the limit, whatever it is.
    assert door.events == [("room", 0)]
    server.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    server.flush()
    scene.until(lambda: door.room() == 1)
    assert door.events == [("room", 0), ("room", 1)]


def test_no_more_than_a_first_flight_before_settings(scene: Scene) -> None:
    door, server = scene.raw_client(settings=False)
    assert door.room() == 1
    door.open().request(b"GET", b"/")
    assert door.room() == 0
    scene.until(lambda: len(server.of(HEADERS)) == 1)
    server.send(frame(SETTINGS))
    scene.until(lambda: door.room() > 1)
    assert door.events == [("room", door.room())]


def test_a_limit_that_falls_below_what_is_open(scene: Scene) -> None:
    door, server = scene.client()
    peers = [door.open() for _ in range(3)]
    for peer in peers:
        peer.request(b"GET", b"/")
    scene.until(lambda: len(requests(server)) == 3)
    server.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    server.flush()
    scene.until(lambda: door.room() == 0)
    for request in requests(server):
        server.respond(request.stream_id, end=True)
    scene.until(lambda: door.room() == 1)
    assert all(peer.names() == ["head"] for peer in peers)


@pytest.mark.parametrize(("code", "refused"), [(CANCEL, False), (REFUSED_STREAM, True), (0, False)])
def test_a_reset_of_the_endpoint_is_reported(scene: Scene, code: int, refused: bool) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"POST", b"/", end=False)
    scene.until(lambda: requests(server))
    server.h2.reset_stream(requests(server)[0].stream_id, code)
    server.flush()
    scene.until(lambda: peer.events)
    assert peer.events == [("reset", "protocol", code, refused)]
    assert door.live() == 0


def test_many_resets_of_the_endpoint_cost_it_nothing(scene: Scene) -> None:
    door, server = scene.client()
    for number in range(150):
        peer = door.open()
        peer.request(b"GET", b"/")
        sent = number + 1
        scene.until(lambda: len(requests(server)) == sent)  # noqa: B023
        server.h2.reset_stream(requests(server)[-1].stream_id, REFUSED_STREAM)
        server.flush()
        scene.until(lambda: peer.events)  # noqa: B023
    assert not door.over


def test_a_cancelled_request_is_reset_with_the_code(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"POST", b"/", end=False)
    scene.until(lambda: requests(server))
    peer.reset(CANCEL)
    peer.send(b"late", end=True)
    scene.until(lambda: server.of(h2.events.StreamReset))
    assert server.of(h2.events.StreamReset)[0].error_code == CANCEL
    scene.until(lambda: door.live() == 0)
    assert peer.events == []


def test_a_request_cancelled_before_it_was_written(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    peer.reset(CANCEL)
    other = door.open()
    other.request(b"GET", b"/other")
    scene.until(lambda: requests(server))
    scene.until(lambda: door.live() == 1)
    assert dict(requests(server)[-1].headers)[":path"] == "/other"
    assert peer.events == []


def test_a_stream_reset_before_its_head_leaves_no_trace(scene: Scene) -> None:
    door, _ = scene.client()
    peer = door.open()
    assert door.live() == 1
    peer.reset(CANCEL)
    assert door.live() == 0
    assert not peer.connected


def test_connect_cannot_travel_over_http2(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"CONNECT", b"", b"test:443", end=False)
    assert peer.events == []  # told from the loop, not from inside the command
    scene.until(lambda: peer.events)
    assert peer.events == [("reset", "local", REFUSED_STREAM, True)]
    assert requests(server) == []
    assert door.live() == 0


def test_goaway_refuses_what_is_above_and_lets_the_rest_finish(scene: Scene) -> None:
    door, server = scene.raw_client()
    peers = [door.open() for _ in range(3)]
    for peer in peers:
        peer.request(b"GET", b"/")
    scene.until(lambda: len(server.of(HEADERS)) == 3)
    server.send(frame(GOAWAY, 0, 0, (3).to_bytes(4, "big") + b"\0\0\0\0"))
    scene.until(lambda: peers[2].events)
    assert peers[2].events == [("reset", "protocol", REFUSED_STREAM, True)]
    assert ("retired",) in door.events
    assert door.room() == 0
    encoder = Encoder()
    server.send(headers_frame(1, STATUS_200, encoder=encoder))
    server.send(headers_frame(3, STATUS_200, encoder=encoder))
    scene.until(lambda: door.over)
    assert [p.names() for p in peers[:2]] == [["head"], ["head"]]
    assert door.events[-1] == ("closed", "local", 0, 0)
    assert [name for name, *_ in door.events].count("retired") == 1


def test_a_graceful_notice_retires_but_refuses_nothing(scene: Scene) -> None:
    door, server = scene.raw_client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0"))
    scene.until(lambda: ("retired",) in door.events)
    assert peer.events == []
    server.send(frame(GOAWAY, 0, 0, (1).to_bytes(4, "big") + b"\0\0\0\0"))
    server.send(headers_frame(1, STATUS_200))
    scene.until(lambda: door.over)
    assert peer.names() == ["head"]


def test_goaway_on_an_idle_connection_closes_it(scene: Scene) -> None:
    door, server = scene.raw_client()
    server.send(frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\x0b"))
    scene.until(lambda: server.closed)
    assert door.events[-1] == ("closed", "local", 0, 0)


def test_reset_and_goaway_together_leave_nothing(scene: Scene) -> None:
    door, server = scene.raw_client()
    peers = [door.open() for _ in range(20)]
    for peer in peers:
        peer.request(b"POST", b"/", end=False)
        peer.send(b"x" * 1000)
    scene.until(lambda: len(server.of(HEADERS)) == 20)
    resets = b"".join(frame(RST_STREAM, 0, 2 * n + 1, b"\0\0\0\x08") for n in range(20))
    server.send(resets + frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0"))
    scene.until(lambda: door.over)
    assert all(len(peer.events) == 1 for peer in peers)
    assert door.live() == 0
    assert door.queued == 0


def test_retiring_closes_after_the_last_stream(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    door.retire()
    assert door.room() == 0
    scene.settle()
    assert not door.over
    server.respond(requests(server)[0].stream_id, end=True)
    scene.until(lambda: server.closed)
    assert peer.names() == ["head"]
    assert server.of(h2.events.ConnectionTerminated)[0].error_code == 0
    assert door.events[-1] == ("closed", "local", 0, 0)
    assert ("retired",) not in door.events


def test_retiring_an_idle_connection_closes_it(scene: Scene) -> None:
    door, server = scene.client()
    scene.until(lambda: door.events)
    door.retire()
    scene.until(lambda: server.closed)
    assert door.over


def test_the_end_of_the_connection_resets_streams_and_tells_the_owner(scene: Scene) -> None:
    door, server = scene.client()
    written = door.open()
    written.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    unwritten = door.open()
    server.sock.shutdown(socket.SHUT_WR)
    scene.until(lambda: door.over)
    assert written.events == [("reset", "eof", 0, False)]
    assert unwritten.events == [("reset", "eof", 0, True)]
    assert door.events[-1] == ("closed", "eof", 0, 0)


def test_an_abort_of_the_endpoint_tells_its_errno(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    server.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    server.sock.close()
    server.closed = True
    scene.until(lambda: door.over)
    assert peer.events == [("reset", "reset", 0, False)]
    assert door.events[-1] == ("closed", "reset", 104, 0)


BAD_RESPONSES = {
    "no status": [("x", "y")],
    "bad status": [(":status", "20")],
    "status 101": [(":status", "101")],
    "request pseudo-header": [(":status", "200"), (":path", "/")],
    "upper-case name": [(":status", "200"), ("X", "y")],
    "newline": [(":status", "200"), ("x", "a\r\nb")],
    "connection": [(":status", "200"), ("connection", "close")],
    "transfer-encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "length": [(":status", "200"), ("content-length", "x")],
}


@pytest.mark.parametrize("fields", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_a_malformed_response_is_a_reset(scene: Scene, fields: list[tuple[str, str]]) -> None:
    door, server = scene.raw_client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(headers_frame(1, fields))
    scene.until(lambda: peer.events)
    assert peer.events == [("reset", "protocol", PROTOCOL_ERROR, False)]
    scene.until(lambda: server.reset_code(1) == PROTOCOL_ERROR)
    assert not door.over


@pytest.mark.parametrize("body", [b"four", b"fourfour"], ids=["short", "long"])
def test_a_response_body_that_belies_its_length_never_ends(scene: Scene, body: bytes) -> None:
    door, server = scene.raw_client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(headers_frame(1, [*STATUS_200, ("content-length", "7")], end=False))
    server.send(frame(DATA, END_STREAM, 1, body))
    scene.until(lambda: "reset" in peer.names())
    assert "end" not in peer.names()
    assert not door.over


def test_an_oversized_response_head_is_a_reset(scene: Scene) -> None:
    door, server = scene.raw_client(header_fields=20)
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(headers_frame(1, [*STATUS_200, *[("x", "y")] * 30]))
    scene.until(lambda: peer.events)
    assert peer.events == [("reset", "protocol", ENHANCE_YOUR_CALM, False)]
    assert not door.over


HOSTILE = {
    "push": frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + Encoder().encode(STATUS_200)),
    "pings": frame(PING, 0, 0, b"12345678") * 300,
    "settings": frame(SETTINGS) * 300,
    "continuations": frame(HEADERS, 0, 1, Encoder().encode(STATUS_200))
    + frame(CONTINUATION, 0, 1) * 300,
    "garbage": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "zero window update": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
}


@pytest.mark.parametrize("wire", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_endpoint_loses_the_connection(scene: Scene, wire: bytes) -> None:
    door, server = scene.raw_client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(wire)
    scene.until(lambda: door.over)
    scene.until(lambda: server.closed)
    assert peer.events[-1][:2] == ("reset", "protocol")
    assert door.events[-1] == ("closed", "protocol", 0, 0)
    assert server.goaway is not None
    assert server.goaway[1] != 0


def test_the_encoders_table_stays_small_whatever_is_offered(scene: Scene) -> None:
    door, server = scene.raw_client()
    server.send(frame(SETTINGS, 0, 0, b"\0\x01\0\x10\0\0"))
    scene.until(lambda: len(server.of(SETTINGS)) >= 2)
    for _ in range(3):
        door.open().request(b"GET", b"/", fields=[(b"x-long", b"y" * 3000), (b"z", b"1" * 3000)])
    scene.until(lambda: len(server.of(HEADERS)) == 3)
    decoder = Decoder()
    decoder.max_allowed_table_size = 4096
    for _, _, _, payload in server.of(HEADERS):
        decoder.decode(payload)


def test_a_table_of_no_size_is_respected(scene: Scene) -> None:
    door, server = scene.client(settings={SettingCodes.HEADER_TABLE_SIZE: 0})
    scene.until(lambda: door.events)
    for _ in range(3):
        door.open().request(b"GET", b"/", fields=[(b"x-same", b"value")])
    scene.until(lambda: len(requests(server)) == 3)
    assert server.error is None


def test_an_idle_meshed_endpoint_is_pinged_and_given_up(scene: Scene) -> None:
    fd, sock = scene.sockets()
    limits = Limits(ping_interval_ns=30_000_000, ping_timeout_ns=30_000_000)
    door = ClientDoor(scene.loop, fd, limits, keepalive=True)
    scene.doors.append(door)
    server = RawPeer(sock)
    server.skip = len(PREFACE)
    scene.peers.append(server)
    server.send(frame(SETTINGS) + frame(SETTINGS, ACK))
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(PING))
    assert not door.over
    server.send(frame(PING, ACK, 0, server.of(PING)[0][3]))
    scene.until(lambda: len(server.of(PING)) >= 2)
    scene.until(lambda: door.over)
    assert peer.events == [("reset", "timeout", 0, False)]
    assert door.events[-1] == ("closed", "timeout", 0, 0)


def test_an_endpoint_may_ask_for_pings_under_streams_only(scene: Scene) -> None:
    fd, sock = scene.sockets()
    limits = Limits(ping_interval_ns=20_000_000, ping_timeout_ns=5_000_000_000)
    door = ClientDoor(scene.loop, fd, limits, keepalive=True, pings_idle=False)
    scene.doors.append(door)
    server = RawPeer(sock)
    server.skip = len(PREFACE)
    scene.peers.append(server)
    server.send(frame(SETTINGS) + frame(SETTINGS, ACK))
    # Several intervals by the clock of the test: this one pings, and has nothing else to do.
    _, other = scene.raw_server(ping_interval_ns=80_000_000, ping_timeout_ns=5_000_000_000)
    scene.until(lambda: other.of(PING))
    assert not server.of(PING)
    door.open().request(b"GET", b"/")
    scene.until(lambda: server.of(PING))
    assert not door.over


def test_an_ordinary_endpoint_is_not_pinged(scene: Scene) -> None:
    door, server = scene.raw_client(ping_interval_ns=10_000_000, ping_timeout_ns=10_000_000)
    other, client = scene.raw_server(ping_interval_ns=30_000_000, ping_timeout_ns=5_000_000_000)
    scene.until(lambda: client.of(PING))  # the clock of the test: an interval has passed
    assert not server.of(PING)
    assert not door.over
    assert not other.over


def test_an_endpoint_that_never_answers_the_preface_is_given_up(scene: Scene) -> None:
    fd, sock = scene.sockets()
    door = ClientDoor(scene.loop, fd, Limits(head_timeout_ns=30_000_000))
    scene.doors.append(door)
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: door.over)
    assert peer.events[0][0] == "reset"
    sock.close()


def test_an_answer_before_the_upload_ended_is_delivered(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"POST", b"/", end=False)
    scene.until(lambda: requests(server))
    stream = requests(server)[0].stream_id
    server.respond(stream, end=True)
    server.h2.reset_stream(stream, 0)
    server.flush()
    scene.until(lambda: door.live() == 0)
    assert peer.names() == ["head", "reset"]
    assert peer.events[-1] == ("reset", "protocol", 0, False)


def test_a_held_response_waits_in_the_endpoint(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    peer.hold()
    scene.until(lambda: requests(server))
    stream = requests(server)[0].stream_id
    server.respond(stream)
    scene.until(lambda: server.h2.outbound_flow_control_window > 65_535)
    while (room := min(server.h2.local_flow_control_window(stream), 16_384)) > 0:
        server.body(stream, b"x" * room)
    scene.until(lambda: len(peer.body) == 65_535)
    scene.settle()
    assert server.h2.local_flow_control_window(stream) == 0
    peer.unhold()
    scene.until(lambda: server.h2.local_flow_control_window(stream) == 65_535)


def begin_answer(scene: Scene, **limits: int) -> tuple[Any, Any, int]:
    """A response to us by the workload in our pod, past SETTINGS; (the exchange, the workload,
    its stream).
    """
    door, server = scene.client(in_pod=True, **limits)
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    stream = requests(server)[0].stream_id
    server.respond(stream)
    scene.until(lambda: server.h2.outbound_flow_control_window > 65_535)
    scene.until(lambda: "head" in peer.names())
    return peer, server, stream


def stream_credit(server: Any, stream: int) -> list[int]:
    """The increments of WINDOW_UPDATE for that stream so far."""
    return [event.delta for event in server.of(h2.events.WindowUpdated, stream)]


def test_a_workload_in_the_pod_gets_the_rest_of_the_window_once_its_first_bytes_are_taken(
    scene: Scene,
) -> None:
    peer, server, stream = begin_answer(scene)
    assert server.h2.local_flow_control_window(stream) == 16_384
    server.body(stream, b"x" * 8_191)
    scene.until(lambda: len(peer.body) == 8_191)
    scene.settle()
    assert stream_credit(server, stream) == []  # a short response costs no frame more
    server.body(stream, b"x")
    scene.until(lambda: stream_credit(server, stream))
    assert stream_credit(server, stream) == [65_535 - 16_384]
    assert server.h2.local_flow_control_window(stream) == 65_535 - 8_192
    for _ in range(3):
        server.body(stream, b"x" * 10_000)
    scene.until(lambda: len(peer.body) == 8_192 + 30_000)
    scene.settle()
    # From here on as on any other stream: what was taken is given back.
    widened, given_back = stream_credit(server, stream)
    assert widened == 65_535 - 16_384
    assert 65_535 // 2 <= given_back <= 8_192 + 30_000


def test_a_held_response_of_a_workload_in_the_pod_has_the_first_window_only(scene: Scene) -> None:
    peer, server, stream = begin_answer(scene)
    peer.hold()
    server.body(stream, b"x" * 16_384)
    scene.until(lambda: len(peer.body) == 16_384)
    scene.settle()
    assert server.h2.local_flow_control_window(stream) == 0
    peer.unhold()
    scene.until(lambda: server.h2.local_flow_control_window(stream) == 16_384)
    server.body(stream, b"x" * 16_384)
    scene.until(lambda: len(stream_credit(server, stream)) == 2)
    assert stream_credit(server, stream) == [16_384, 65_535 - 16_384]


def test_the_last_bytes_of_a_response_widen_nothing(scene: Scene) -> None:
    peer, server, stream = begin_answer(scene)
    server.body(stream, b"x" * 16_384, end=True)
    scene.until(lambda: "body" in peer.names() and server.of(h2.events.SettingsAcknowledged))
    scene.settle()
    assert stream_credit(server, stream) == []


def test_a_smaller_configured_window_is_kept_in_the_pod(scene: Scene) -> None:
    _, server, stream = begin_answer(scene, initial_stream_window=10_000)
    assert server.h2.local_flow_control_window(stream) == 10_000
    server.body(stream, b"x" * 10_000)
    scene.until(lambda: server.h2.local_flow_control_window(stream) == 10_000)


def test_a_workload_that_acknowledges_late_gets_its_window_all_the_same(scene: Scene) -> None:
    door, server = scene.raw_client(settings=False, in_pod=True)
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: server.of(HEADERS))
    server.send(frame(SETTINGS) + headers_frame(1, [(":status", "200")], end=False))
    server.send(frame(DATA, 0, 1, b"x" * 16_384))
    scene.until(lambda: len(peer.body) == 16_384)
    scene.settle()
    assert not server.of(WINDOW_UPDATE, 1)
    server.send(frame(SETTINGS, ACK))
    scene.until(lambda: server.of(WINDOW_UPDATE, 1))
    server.send(frame(DATA, 0, 1, b"x" * 16_384))
    scene.until(lambda: len(server.of(WINDOW_UPDATE, 1)) == 2)
    credit = [int.from_bytes(frame[3], "big") for frame in server.of(WINDOW_UPDATE, 1)]
    assert credit == [16_384, 65_535 - 16_384]


def test_a_transport_that_died_first_is_reported_from_the_loop(scene: Scene) -> None:
    fd, sock = scene.sockets()
    door = ClientDoor(scene.loop, fd, Limits(), dead=True)
    assert door.room() == 0
    assert door.events == []
    scene.until(lambda: door.over)
    assert door.events == [("closed", "local", 0, 0)]
    door.retire()
    sock.close()


def test_shutting_ends_everything_at_once(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open()
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    door.shut()
    door.shut()
    assert peer.events == [("reset", "local", 0, False)]
    assert door.events[-1] == ("closed", "local", 0, 0)
    scene.until(lambda: server.closed)
    assert server.reset_seen


def test_an_abort_from_inside_a_report_is_survived(scene: Scene) -> None:
    door, server = scene.client()
    peer = door.open(lambda peer, name: door.abort())
    peer.request(b"GET", b"/")
    scene.until(lambda: requests(server))
    stream = requests(server)[0].stream_id
    server.respond(stream)
    server.body(stream, b"x" * 100, end=True)
    scene.until(lambda: server.closed)
    assert peer.names()[0] == "head"
    door.shut()
