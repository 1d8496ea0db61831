"""The server codec on real connections: order, persistence, framing, ends of every kind."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.testing import Recorder, Recording, abort, connection, cut, drain
from tests.support.http1_bench import Bench

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


def hello(recorder: Recorder, event: tuple[Any, ...]) -> None:
    """Answers as soon as the request is complete."""
    if recorder.ended and event[0] in {"head", "body", "trailers"}:
        recorder.respond(200, body=b"hi")


def test_a_request_is_answered_and_the_connection_kept(bench: Bench) -> None:
    wire, dispatch, server = bench.server(Recording(hello))
    for count in (1, 2, 3):
        wire.send(GET)
        wire.expect(OK * count)
    assert server.exchanges == 3
    assert [peer.names() for peer in dispatch.peers] == [["head"]] * 3
    assert not any(peer.live for peer in dispatch.peers)


def test_an_idle_connection_holds_no_buffer(bench: Bench) -> None:
    wire, _, server = bench.server(Recording(hello))
    wire.send(GET)
    wire.expect(OK)
    assert connection(server) == {
        "open": True,
        "inbox": False,
        "outbox": False,
        "paused": False,
        "unsent": 0,
        "sent": len(OK),
        "received": len(GET),
    }


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_requests_arrive_in_any_pieces(bench: Bench, step: int) -> None:
    chunked = b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"
    wire, dispatch, _ = bench.server(Recording(hello))
    wire.send(GET + POST + b"12345" + chunked + GET, step=step)
    wire.expect(OK * 4)
    assert [peer.body() for peer in dispatch.peers] == [b"", b"12345", b"abc", b""]
    assert dispatch.peers[2].events[-1] == ("trailers", [(b"X", b"y")])


def arrived(dispatch: Recording, count: int) -> Callable[[], bool]:
    return lambda: len(dispatch.peers) == count


def test_pipelined_requests_are_answered_in_order_and_one_at_a_time(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(b"".join(GET.replace(b"/ ", b"/%d " % n) for n in range(5)))
    for n in range(5):
        wire.until(arrived(dispatch, n + 1))
        assert dispatch.peers[n].events[0][1]["path"] == b"/%d" % n
        dispatch.peers[n].respond(200, body=b"%d" % n)
    wire.until(lambda: wire.received.endswith(b"4"))
    bodies = wire.received.split(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n")
    assert bodies == [b"", b"0", b"1", b"2", b"3", b"4"]


def test_many_pipelined_requests_wait_in_one_inbox(bench: Bench) -> None:
    wire, dispatch, server = bench.server()
    count = 4000
    wire.send(GET * count)
    assert len(dispatch.peers) == 1
    assert connection(server)["paused"]
    assert connection(server)["received"] < 40_000
    dispatch.react = hello
    dispatch.peers[0].respond(200, body=b"hi")
    wire.until(lambda: len(wire.received) == len(OK) * count)
    assert server.exchanges == count


def test_a_head_keeps_its_memory_while_more_requests_arrive(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET * 3)
    dispatch.peers[0].respond(200, body=b"hi")
    wire.until(lambda: len(dispatch.peers) == 2)
    wire.send(GET * 900)
    dispatch.peers[1].release_head()
    dispatch.peers[1].respond(200, body=b"hi")
    wire.until(lambda: len(dispatch.peers) == 3)
    assert dispatch.peers[2].events[0][1]["authority"] == b"a"


def test_a_body_flows_while_the_head_is_retained(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    body = bytes(range(256)) * 400
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
    wire.send(body)
    wire.until(lambda: dispatch.peers and dispatch.peers[0].ended)
    assert dispatch.peers[0].body() == body
    dispatch.peers[0].release_head()
    dispatch.peers[0].respond(200, body=b"hi")
    wire.expect(OK)


def test_a_large_head_gets_a_larger_inbox(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(Recording(hello))
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(60))
    wire.send(GET[:-2] + fields + b"\r\n" + GET, step=9000)
    wire.expect(OK * 2)
    assert len(dispatch.peers[0].events[0][1]["fields"]) == 61


@pytest.mark.parametrize("size", [1000, 15000, 16384])
def test_a_trailer_section_of_any_allowed_size(bench: Bench, size: int) -> None:
    wire, dispatch, _ = bench.server(Recording(hello), limits=Limits(trailer_bytes=20000))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    wire.send(head + b"0\r\nX: " + b"t" * size + b"\r\n\r\n", step=5000)
    wire.expect(OK)
    assert dispatch.peers[0].events[-1] == ("trailers", [(b"X", b"t" * size)])


# ---- how responses are framed


def answer(
    bench: Bench,
    request: bytes,
    status: int = 200,
    fields: list[tuple[bytes, bytes]] | None = None,
    **options: Any,
) -> bytes:
    """What is on the wire after one response to one request."""
    wire, dispatch, _ = bench.server()
    wire.send(request)
    dispatch.peers[0].respond(status, fields or (), **options)
    wire.settle()
    return bytes(wire.received)


def test_a_known_length_is_kept(bench: Bench) -> None:
    assert answer(bench, GET, body=b"hi") == OK
    assert answer(bench, GET) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_an_unknown_length_becomes_chunks(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=-1)
    peer.send(b"abc")
    peer.send(b"x" * 20)
    peer.send(b"", end=True)
    wire.expect(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n14\r\n"
        + b"x" * 20
        + b"\r\n0\r\n\r\n"
    )


def test_trailers_end_a_chunked_response(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=-1)
    peer.send(b"abc")
    peer.trailers([(b"x-sum", b"1"), (b"host", b"evil"), (b"content-length", b"9")])
    wire.expect(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"
    )


def test_trailers_after_a_known_length_are_dropped(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=2)
    peer.send(b"hi")
    peer.trailers([(b"x-sum", b"1")])
    wire.expect(OK)


def test_an_unknown_length_to_1_0_ends_with_the_connection(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    dispatch.peers[0].respond(200, end=False, length=-1)
    dispatch.peers[0].send(b"hi", end=True)
    wire.expect_end()
    assert wire.received == b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nhi"


def test_keep_alive_of_1_0(bench: Bench) -> None:
    assert answer(bench, b"GET / HTTP/1.0\r\n\r\n", body=b"hi") == (
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"
    )
    kept = answer(bench, b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", body=b"hi")
    assert kept == b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi"


HEAD = GET.replace(b"GET", b"HEAD")


@pytest.mark.parametrize(
    ("request_bytes", "status", "length", "wire"),
    [
        (HEAD, 200, 99, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
        (HEAD, 200, -1, b"HTTP/1.1 200 OK\r\n\r\n"),
        (GET, 304, 99, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"),
        (GET, 204, 99, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, 204, -1, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, 200, 0, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (GET, 200, -1, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
)
def test_responses_without_a_body_keep_the_connection(
    bench: Bench, request_bytes: bytes, status: int, length: int, wire: bytes
) -> None:
    line, dispatch, _ = bench.server()
    line.send(request_bytes)
    dispatch.peers[0].respond(status, length=length)
    line.expect(wire)
    dispatch.react = hello
    line.send(GET)
    line.expect(wire + OK)


def test_no_body_byte_follows_a_bodyless_response(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(HEAD + GET)
    dispatch.peers[0].respond(200, end=False, length=5)
    dispatch.peers[0].send(b"oops!", end=True)
    wire.until(lambda: len(dispatch.peers) == 2)
    dispatch.peers[1].respond(200, body=b"hi")
    wire.expect(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + OK)


def test_reasons_and_fields_are_passed_and_hop_by_hop_ones_are_not(bench: Bench) -> None:
    fields = [
        (b"X-A", b"1"),
        (b"connection", b"x"),
        (b"keep-alive", b"1"),
        (b"upgrade", b"y"),
        (b"transfer-encoding", b"z"),
    ]
    assert answer(bench, GET, 299, fields, reason=b"Fine by me") == (
        b"HTTP/1.1 299 Fine by me\r\nX-A: 1\r\ncontent-length: 0\r\n\r\n"
    )
    assert answer(bench, GET, 299) == b"HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n"


def test_interim_responses_go_before_the_final_one(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.interim(100)
    peer.interim(103, [(b"link", b"</a>")])
    peer.respond(200, body=b"hi")
    peer.interim(103)
    wire.expect(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK)


def test_interim_responses_are_not_for_1_0(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(b"GET / HTTP/1.0\r\n\r\n")
    dispatch.peers[0].interim(100)
    dispatch.peers[0].respond(200)
    wire.expect_end()
    assert wire.received == b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def test_expect_continue_waits_for_the_exchange(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(Recording(hello))
    wire.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert wire.received == b""
    dispatch.peers[0].interim(100)
    wire.expect(b"HTTP/1.1 100 Continue\r\n\r\n")
    wire.send(b"12345")
    wire.expect(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)


# ---- refused bytes


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/2.0\r\n\r\n", b"505 HTTP Version Not Supported"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"501 Not Implemented"),
        (b"GET /" + b"a" * 33000, b"414 URI Too Long"),
        (GET[:-2] + b"X: " + b"a" * 66000, b"431 Request Header Fields Too Large"),
    ],
)
def test_refused_bytes_are_answered_with_their_status(
    bench: Bench, message: bytes, status: bytes
) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(message + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.expect_end()
    framing = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert without_date(wire.received) == b"HTTP/1.1 " + status + framing
    assert not dispatch.peers


def without_date(received: bytes) -> bytes:
    """What was said, but for when."""
    before, found, after = bytes(received).partition(b"\r\ndate: ")
    assert found
    said = parsedate_to_datetime(after[:29].decode())
    assert abs((datetime.now(UTC) - said).total_seconds()) < 60
    return before + after[29:]


def test_a_refusal_says_why_where_that_is_wanted(bench: Bench) -> None:
    wire, _, _ = bench.server(informational=True)
    wire.send(b"GET / HTTP/1.1\r\n\r\n")
    wire.expect_end()
    assert without_date(wire.received) == (
        b"HTTP/1.1 400 Bad Request\r\nl5d-proxy-connection: close\r\nl5d-proxy-error: missing Host header field\r\n"
        b"content-length: 0\r\nconnection: close\r\n\r\n"
    )


def test_requests_before_a_refused_one_are_answered(bench: Bench) -> None:
    wire, _, _ = bench.server(Recording(hello))
    wire.send(GET + b"BAD\r\n\r\n")
    wire.expect_end()
    assert wire.received.startswith(OK + b"HTTP/1.1 400 ")


def test_a_refused_body_is_answered_before_a_response_and_aborted_during_one(bench: Bench) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire, dispatch, _ = bench.server()
    wire.send(chunked + b"x\r\n")
    wire.expect_end()
    assert wire.received.startswith(b"HTTP/1.1 400 ")
    assert dispatch.peers[0].events[-1] == ("reset", "protocol")
    wire, dispatch, _ = bench.server()
    wire.send(chunked)
    dispatch.peers[0].respond(200, end=False, length=-1)
    wire.settle()
    wire.send(b"x\r\n")
    wire.expect_cut()
    assert dispatch.peers[0].events[-1] == ("reset", "protocol")


def test_a_client_that_goes_on_sending_still_reads_the_refusal(bench: Bench) -> None:
    wire, _, _ = bench.server()
    wire.send(b"BAD\r\n\r\n")
    for _ in range(20):
        wire.send(b"x" * 10000)
    assert wire.received.startswith(b"HTTP/1.1 400 ")
    wire.finish()
    wire.expect_end()


# ---- early answers


def test_an_answer_before_the_whole_body_says_close_and_closes(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(POST + b"12")
    dispatch.peers[0].respond(403, body=b"no")
    wire.expect_end()
    assert (
        wire.received
        == b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    )
    assert not dispatch.peers[0].live


def test_an_answer_that_did_not_want_a_body_that_is_here_keeps_the_connection(bench: Bench) -> None:
    def refuse(recorder: Recorder, event: tuple[Any, ...]) -> None:
        recorder.respond(403, body=b"no")

    wire, dispatch, _ = bench.server(Recording(refuse))
    wire.send(POST + b"12345" + GET)
    wire.expect(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno" * 2)
    assert [peer.names() for peer in dispatch.peers] == [["head"], ["head"]]


def test_an_early_answer_is_read_by_a_client_that_goes_on_sending(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    dispatch.peers[0].respond(403, body=b"no")
    for _ in range(30):
        wire.send(b"x" * 10000)
    assert wire.received.endswith(b"no")
    wire.finish()
    wire.expect_end()


# ---- clients that end


def test_a_half_close_after_a_request_is_still_answered(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    wire.finish()
    assert dispatch.peers[0].names() == ["head"]
    dispatch.peers[0].respond(200, body=b"hi")
    wire.expect_end()
    assert wire.received == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


def test_pipelined_requests_before_a_half_close_are_all_answered(bench: Bench) -> None:
    wire, _, _ = bench.server(Recording(hello))
    wire.end.sendall(GET * 3)
    wire.finish()
    wire.expect_end()
    assert wire.received.count(b"HTTP/1.1 200 OK") == 3


def test_an_end_in_the_middle_of_a_body_is_a_reset(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(POST + b"12")
    wire.finish()
    assert dispatch.peers[0].events[-1] == ("reset", "eof")
    wire.expect_end()


def test_an_end_in_the_middle_of_a_body_aborts_a_response_under_way(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(POST + b"12")
    dispatch.peers[0].respond(200, end=False, length=-1)
    wire.settle()
    wire.finish()
    wire.expect_cut()
    assert dispatch.peers[0].events[-1] == ("reset", "eof")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_an_end_between_or_within_heads_closes(bench: Bench, sent: bytes) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(sent)
    wire.finish()
    wire.expect_end()
    assert wire.received == b""
    assert not dispatch.peers


def test_a_client_that_aborts_while_it_waits_is_seen_at_once(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET + GET)
    wire.cut()
    assert bench.loop.run_until(lambda: dispatch.peers[0].names()[-1] == "reset")
    assert dispatch.peers[0].events[-1] == ("reset", "reset")
    assert not dispatch.peers[0].live


def test_a_client_that_aborts_while_reading_is_paused_is_seen_at_once(bench: Bench) -> None:
    wire, dispatch, server = bench.server()
    wire.send(GET * 4000)
    assert connection(server)["paused"]
    wire.cut()
    assert bench.loop.run_until(lambda: dispatch.peers[0].names()[-1] == "reset")


def test_a_held_body_waits_and_an_end_meanwhile_is_not_lost(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(POST)
    peer = dispatch.peers[0]
    peer.hold()
    peer.hold()
    wire.send(b"12")
    wire.finish()
    assert peer.names() == ["head"]
    peer.unhold()
    peer.unhold()
    wire.until(lambda: peer.names()[-1] == "reset")
    assert peer.body() == b"12"


def test_an_end_that_came_while_held_with_nothing_left_to_read_is_told_after(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(POST + b"12")
    peer = dispatch.peers[0]
    peer.release_head()
    peer.hold()
    wire.finish()
    assert peer.names() == ["head", "body"]
    peer.unhold()
    wire.until(lambda: peer.events[-1] == ("reset", "eof"))


# ---- clients that may be gone

SHORT_GRACE = Limits(half_close_ns=20_000_000)


@pytest.mark.parametrize("sent", [GET, GET * 3, GET * 4000], ids=["one", "three", "many"])
def test_a_client_that_ended_and_hears_nothing_is_gone_after_its_grace(
    bench: Bench, sent: bytes
) -> None:
    wire, dispatch, _ = bench.server(limits=SHORT_GRACE)
    wire.end.sendall(sent)
    wire.finish()
    wire.expect_end()
    assert [peer.names() for peer in dispatch.peers] == [["head", "reset"]]
    assert wire.received == b""


def test_so_is_one_whose_body_nobody_takes(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(limits=SHORT_GRACE)
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n")
    peer = dispatch.peers[0]
    peer.hold()
    wire.send(b"x" * 30_000)
    wire.finish()
    wire.until(lambda: peer.events[-1] == ("reset", "eof"))


def test_one_that_ended_within_a_response_is_gone_when_no_more_of_it_comes(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(limits=SHORT_GRACE)
    wire.send(GET)
    dispatch.peers[0].respond(200, end=False, length=100)
    wire.until(lambda: wire.received)
    wire.finish()
    wire.expect_cut()
    assert dispatch.peers[0].events[-1] == ("reset", "eof")


def test_one_that_is_sent_something_is_there_for_as_long_as_it_takes(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(limits=SHORT_GRACE)
    wire.send(GET * 2)
    wire.finish()
    first = dispatch.peers[0]
    first.respond(200, end=False, length=4)
    wire.until(lambda: wire.received)
    # A connection that is made now has its whole grace before it is gone: the first has outlived its own.
    later, others, _ = bench.server(limits=SHORT_GRACE)
    later.send(GET)
    later.finish()
    later.expect_end()
    assert first.names() == ["head"]
    first.send(b"done", end=True)
    wire.until(lambda: len(dispatch.peers) == 2)
    later, others, _ = bench.server(limits=SHORT_GRACE)
    later.send(GET)
    later.finish()
    later.expect_end()
    assert others.peers[0].names() == ["head", "reset"]
    dispatch.peers[1].respond(200, body=b"two")
    wire.expect_end()
    assert wire.received.endswith(b"two")


def test_one_that_is_gone_is_seen_as_soon_as_it_is_sent_something(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    wire.end.close()
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=-1)
    assert bench.loop.run_until(lambda: peer.names()[-1] == "reset")


def test_urgent_bytes_before_a_pause_are_no_end(bench: Bench) -> None:
    wire, dispatch, server = bench.server(limits=SHORT_GRACE)
    wire.send(GET * 4000)
    assert connection(server)["paused"]
    wire.end.send(b"!", socket.MSG_OOB)
    later, _, _ = bench.server(limits=SHORT_GRACE)
    later.send(GET)
    later.finish()
    later.expect_end()
    assert dispatch.peers[0].names() == ["head"]


def test_a_client_that_takes_nothing_of_a_response_is_reset_after_its_time(bench: Bench) -> None:
    limits = Limits(stalled_send_ns=40_000_000)
    wire, dispatch, _ = bench.server(receive_bytes=32768, limits=limits)
    wire.end.sendall(GET)
    bench.loop.run_until(lambda: dispatch.peers)
    peer = dispatch.peers[0]
    outcome = peer.respond(200, end=False, length=-1)
    while outcome == 0:
        outcome = peer.send(b"x" * 8000)
        bench.loop.drain()
    assert bench.loop.run_until(lambda: peer.names()[-1] == "reset")
    assert peer.events[-1] == ("reset", "idle")


# ---- responses that go wrong


@pytest.mark.parametrize("sent", [b"abc", b"123456"])
def test_a_response_of_another_length_than_promised_is_aborted(bench: Bench, sent: bytes) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=5)
    peer.send(sent, end=True)
    assert peer.names() == ["head"]
    wire.expect_cut()
    assert peer.events[-1] == ("reset", "protocol")


@pytest.mark.parametrize("end", [True, False])
def test_a_reset_response_is_cut_and_never_looks_complete(bench: Bench, end: bool) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    peer.respond(200, end=False, length=-1)
    if end:
        peer.send(b"part")
    wire.settle()
    peer.reset()
    peer.reset()
    wire.expect_cut()
    assert not wire.received.endswith(b"0\r\n\r\n")
    assert peer.names() == ["head"]


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (101, {}),
        (103, {}),
        (200, {"length": 5}),
    ],
)
def test_heads_that_contradict_themselves_are_not_sent(
    bench: Bench, status: int, options: dict[str, Any]
) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    dispatch.peers[0].respond(status, **options)
    wire.expect_cut()
    assert wire.received == b""
    assert dispatch.peers[0].events[-1] == ("reset", "protocol")


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x", b"a\nb"),
        (b"x", b"\0"),
        (b"x y", b"z"),
        (b"", b"z"),
        (b"x:", b"z"),
    ],
)
def test_fields_of_another_protocol_that_would_split_a_head_are_not_sent(
    bench: Bench, field: tuple[bytes, bytes]
) -> None:
    for trailers in (False, True):
        wire, dispatch, _ = bench.server()
        wire.send(GET)
        peer = dispatch.peers[0]
        if trailers:
            peer.respond(200, end=False, length=-1)
            peer.trailers([field], version=2)
        else:
            peer.respond(200, [field], version=2)
        wire.expect_cut()
        assert b"z" not in wire.received
        assert b"cookie" not in wire.received


# ---- back-pressure


def test_a_client_that_does_not_read_stops_the_response_and_then_lets_it_go_on(
    bench: Bench,
) -> None:
    wire, dispatch, server = bench.server(receive_bytes=32768)
    wire.end.sendall(GET)
    bench.loop.run_until(lambda: dispatch.peers)
    peer = dispatch.peers[0]
    outcome = peer.respond(200, end=False, length=-1)
    sent = 0
    while outcome == 0:
        outcome = peer.send(b"x" * 8000)
        sent += 8000
        bench.loop.drain()
    assert connection(server)["unsent"] > 0
    wire.until(lambda: peer.names()[-1] == "room")
    peer.send(b"", end=True)
    wire.until(lambda: wire.received.endswith(b"\r\n0\r\n\r\n"))
    assert wire.received.count(b"x") == sent


def test_pipelined_requests_wait_for_a_client_that_does_not_read(bench: Bench) -> None:
    wire, dispatch, server = bench.server(receive_bytes=65536)

    def large(recorder: Recorder, event: tuple[Any, ...]) -> None:
        recorder.respond(200, body=b"y" * 400_000)

    dispatch.react = large
    wire.end.sendall(GET * 20)
    for _ in range(50):
        bench.loop.drain()
    assert len(dispatch.peers) < 20
    wire.until(lambda: len(wire.received) > 8_000_000 and server.exchanges == 20)
    assert wire.received.count(b"y") == 8_000_000


# ---- time, drain, abort


def test_a_slow_head_is_answered_408_and_silence_is_closed(bench: Bench) -> None:
    limits = Limits(head_timeout_ns=20_000_000)
    wire, _, _ = bench.server(limits=limits)
    wire.send(b"GET / HTTP/1.1\r\n")
    wire.expect_end()
    assert wire.received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    wire, _, _ = bench.server(limits=limits)
    wire.expect_end()
    assert wire.received == b""


def test_the_head_clock_runs_for_every_head_and_only_for_heads(bench: Bench) -> None:
    wire, dispatch, _ = bench.server(limits=Limits(head_timeout_ns=30_000_000))
    wire.send(GET)
    other, others, _ = bench.server(limits=Limits(head_timeout_ns=30_000_000))
    other.expect_end()
    assert not others.peers
    dispatch.peers[0].respond(200, body=b"hi")
    wire.expect(OK)
    wire.send(b"GET ")
    wire.expect_end()
    assert wire.received.startswith(OK + b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_after_its_time(bench: Bench) -> None:
    wire, _, _ = bench.server(Recording(hello), limits=Limits(keepalive_idle_ns=20_000_000))
    wire.send(GET)
    wire.expect_end()
    assert wire.received == OK


def test_drain_closes_idle_connections_and_announces_it_on_busy_ones(bench: Bench) -> None:
    wire, _, server = bench.server()
    drain(server)
    wire.expect_end()
    wire, dispatch, server = bench.server()
    wire.send(GET)
    drain(server)
    dispatch.peers[0].respond(200, body=b"hi")
    wire.expect_end()
    assert wire.received == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


def test_drain_during_a_response_closes_after_it(bench: Bench) -> None:
    wire, dispatch, server = bench.server()
    wire.send(GET)
    dispatch.peers[0].respond(200, end=False, length=2)
    drain(server)
    dispatch.peers[0].send(b"hi", end=True)
    wire.expect_end()
    assert wire.received == OK


def test_drain_lets_a_started_head_finish(bench: Bench) -> None:
    wire, _, server = bench.server(Recording(hello))
    wire.send(GET[:10])
    drain(server)
    wire.send(GET[10:])
    wire.expect_end()
    assert wire.received == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


def test_abort_cuts_the_connection_and_tells_the_exchange(bench: Bench) -> None:
    wire, dispatch, server = bench.server()
    wire.send(GET)
    abort(server)
    abort(server)
    assert dispatch.peers[0].events[-1] == ("reset", "local")
    wire.expect_cut()


def test_commands_after_the_end_do_nothing(bench: Bench) -> None:
    wire, dispatch, server = bench.server()
    wire.send(GET)
    peer = dispatch.peers[0]
    abort(server)
    peer.respond(200, body=b"hi")
    peer.interim(100)
    peer.trailers([])
    peer.hold()
    peer.unhold()
    peer.release_head()
    peer.reset()
    with pytest.raises(RuntimeError):
        peer.into_tunnel()


def test_a_transport_ended_by_its_owner_leaves_a_quiet_codec(bench: Bench) -> None:
    wire, dispatch, server = bench.server(limits=Limits(head_timeout_ns=20_000_000))
    other, others, another = bench.server()
    other.send(POST)
    cut(server)
    cut(another)
    peer = others.peers[0]
    peer.respond(200, end=False, length=-1)
    peer.send(b"x", end=True)
    peer.interim(100)
    peer.hold()
    peer.unhold()
    peer.release_head()
    drain(server)
    drain(another)
    wire.expect_cut()
    slow, _, _ = bench.server(limits=Limits(head_timeout_ns=40_000_000))
    slow.expect_end()
    abort(another)
    assert peer.events[-1] == ("reset", "local")
    peer.reset()
    assert not dispatch.peers


def test_an_answer_to_close_is_announced_and_done(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET + GET)
    dispatch.peers[0].respond(502, close=True)
    wire.expect_end()
    assert (
        wire.received
        == b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert len(dispatch.peers) == 1


def test_a_client_that_asks_for_close_gets_it(bench: Bench) -> None:
    wire, _, _ = bench.server(Recording(hello))
    wire.send(GET[:-2] + b"Connection: close\r\n\r\n")
    wire.expect_end()
    assert wire.received == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


# ---- tunnels


UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CONNECT = b"CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status", "fields", "wire"),
    [
        (
            UPGRADE,
            101,
            [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")],
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        ),
        (
            CONNECT,
            200,
            [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
            b"HTTP/1.1 200 OK\r\n\r\n",
        ),
    ],
)
def test_a_tunnel_gets_the_bytes_that_came_early(
    bench: Bench, request_bytes: bytes, status: int, fields: list[tuple[bytes, bytes]], wire: bytes
) -> None:
    line, dispatch, server = bench.server()
    line.send(request_bytes + b"early")
    peer = dispatch.peers[0]
    assert peer.names() == ["head"]
    peer.respond(status, fields, length=-1)
    tunnel = peer.into_tunnel()
    line.expect(wire)
    assert not connection(server)["open"]
    line.send(b" and late")
    assert tunnel.received == b"early and late"
    tunnel.send(b"back")
    line.expect(wire + b"back")
    tunnel.close()


def test_a_tunnel_opens_from_inside_the_report_of_its_request(bench: Bench) -> None:
    tunnels = []

    def accept(recorder: Recorder, event: tuple[Any, ...]) -> None:
        recorder.respond(200, length=-1)
        tunnels.append(recorder.into_tunnel())

    wire, _, _ = bench.server(Recording(accept))
    wire.send(CONNECT + b"early")
    wire.expect(b"HTTP/1.1 200 OK\r\n\r\n")
    assert tunnels[0].received == b"early"
    tunnels[0].close()


def test_a_tunnel_gets_more_than_an_inbox_of_early_bytes(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(CONNECT + b"e" * 40000)
    peer = dispatch.peers[0]
    peer.respond(200, length=-1)
    tunnel = peer.into_tunnel()
    wire.until(lambda: len(tunnel.received) == 40000)
    tunnel.close()


@pytest.mark.parametrize("request_bytes", [UPGRADE, CONNECT])
def test_a_refused_tunnel_leaves_an_ordinary_connection(bench: Bench, request_bytes: bytes) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(request_bytes)
    dispatch.peers[0].respond(403)
    wire.expect(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    dispatch.react = hello
    wire.send(GET)
    wire.until(lambda: wire.received.endswith(OK))


@pytest.mark.parametrize("request_bytes", [UPGRADE, CONNECT])
def test_bytes_meant_for_a_refused_tunnel_are_not_read_as_requests(
    bench: Bench, request_bytes: bytes
) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(request_bytes + GET)
    dispatch.peers[0].respond(403)
    wire.expect_end()
    assert (
        wire.received == b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    assert len(dispatch.peers) == 1


def test_an_upgrade_answer_without_a_request_for_it_is_refused(bench: Bench) -> None:
    wire, dispatch, _ = bench.server()
    wire.send(GET)
    dispatch.peers[0].respond(101, [(b"upgrade", b"x")])
    wire.until(lambda: wire.ended)
    assert wire.received == b""


def test_426_tells_what_to_upgrade_to(bench: Bench) -> None:
    assert answer(bench, GET, 426, [(b"Upgrade", b"HTTP/2.0")]) == (
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/2.0\r\ncontent-length: 0\r\nconnection: upgrade\r\n\r\n"
    )
