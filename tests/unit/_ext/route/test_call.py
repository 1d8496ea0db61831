"""One call of gRPC: what is one, what its request may be, how it is answered and how it ends."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.route.call import Call, send_all
from tests.support.call_rig import CALL, Calls, message, with_field
from tests.support.route_rig import Rig
from tests.unit._ext.conftest import Failures

MS = 1_000_000
OK, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL = "0", "4", "8", "12", "13"


@pytest.fixture
def calls(rig: Rig) -> Iterator[Calls]:
    made = Calls(rig, request_bytes=1000, queue_bytes=100_000)
    yield made
    made.close()


def test_a_request_is_given_whole_and_messages_are_sent_with_their_prefix(calls: Calls) -> None:
    calls.answer = lambda call: (call.begin([(b"x-a", b"1")]), call.send([b"one", b""]))
    client = calls.client()
    stream = client.begin(with_field("x-b", "2"))
    client.put(stream, message(b"hello")[:3], end=False)
    calls.settle()
    assert not calls.asked
    client.put(stream, message(b"hello")[3:])
    calls.until(lambda: client.streams[stream].body)
    (asked,) = calls.asked
    assert (asked.path, asked.request) == (b"/a.Service/Method", b"hello")
    assert asked.headers[b"x-b"] == b"2"
    assert asked.call.peer.host == "127.0.0.1"
    head = client.streams[stream].heads[0]
    assert head == {":status": "200", "content-type": "application/grpc", "x-a": "1"}
    assert client.streams[stream].body == message(b"one") + message(b"")
    asked.call.finish(0, trailers=[(b"x-c", b"3")])
    calls.until(lambda: client.streams[stream].end)
    assert client.streams[stream].heads[1] == {"grpc-status": OK, "x-c": "3"}
    assert asked.call.over
    assert calls.server.open == 0
    assert not asked.gone


def test_a_call_that_is_only_refused_has_one_head(calls: Calls) -> None:
    calls.answer = lambda call: call.finish(5, "100 % of\nnöthing")
    stream = calls.client().ask()
    calls.until(lambda: stream.end)
    assert stream.heads == [
        {
            ":status": "200",
            "content-type": "application/grpc",
            "grpc-status": "5",
            "grpc-message": "100 %25 of%0An%C3%B6thing",
        }
    ]
    with pytest.raises(ValueError, match="17 is no status"):
        calls.asked[0].call.finish(17)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (":method", "GET", "405"),
        ("content-type", "application/json", "415"),
        ("content-type", "application/grpcx", "415"),
        ("content-type", "application/grp", "415"),
    ],
)
def test_what_is_no_call_is_refused_in_http(
    calls: Calls, name: str, value: str, status: str
) -> None:
    client = calls.client()
    stream = client.streams[client.begin(with_field(name, value), end=True)]
    calls.until(lambda: stream.end)
    assert stream.heads[0][":status"] == status
    assert "grpc-status" not in stream.heads[0]
    assert not calls.asked
    assert calls.server.open == 0


@pytest.mark.parametrize("value", ["application/grpc+proto", "Application/GRPC;x=1"])
def test_what_else_calls_are_said_to_hold(calls: Calls, value: str) -> None:
    calls.client().ask(head=with_field("content-type", value))
    calls.until(lambda: calls.asked)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", UNIMPLEMENTED),
        (b"\0\0\0", INTERNAL),
        (message(b"abc", length=4), INTERNAL),
        (message(b"abc") + message(b""), UNIMPLEMENTED),
        (message(b"abc", flag=1), INTERNAL),
        (message(b"abc", flag=2), INTERNAL),
        (message(b"a" * 1001), EXHAUSTED),
        (message(b"abc", length=2**32 - 1), EXHAUSTED),
    ],
)
def test_a_request_that_is_not_one_whole_message_is_refused(
    calls: Calls, body: bytes, status: str
) -> None:
    client = calls.client()
    stream = client.streams[client.begin()]
    client.put(1, body)
    calls.until(lambda: stream.end)
    assert stream.status == status
    assert not calls.asked
    assert calls.server.open == 0
    # And its connection goes on.
    client.ask(b"x" * 1000)
    calls.until(lambda: calls.asked)


def test_a_request_without_body_has_no_message(calls: Calls) -> None:
    client = calls.client()
    stream = client.streams[client.begin(end=True)]
    calls.until(lambda: stream.end)
    assert stream.status == UNIMPLEMENTED


def test_trailers_end_a_request_too(calls: Calls) -> None:
    client = calls.client()
    stream = client.begin()
    client.put(stream, message(b"a"), end=False)
    client.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
    client.flush()
    calls.until(lambda: calls.asked)


def test_a_compressed_request_is_told_what_is_read(calls: Calls) -> None:
    client = calls.client()
    stream = client.streams[client.begin(with_field("grpc-encoding", "gzip"))]
    client.put(1, message(b"abc", flag=1))
    calls.until(lambda: stream.end)
    assert stream.status == UNIMPLEMENTED
    assert stream.heads[0]["grpc-accept-encoding"] == "identity"


def test_more_than_may_be_asked_is_not_waited_for(calls: Calls) -> None:
    client = calls.client()
    stream = client.streams[client.begin()]
    client.put(1, message(b"", length=1001), end=False)
    calls.until(lambda: stream.end)
    assert stream.status == EXHAUSTED
    assert stream.words == "Received message larger than max (1001 vs. 1000)"


@pytest.mark.parametrize("value", ["", "1", "S", "1s", "-1S", "123456789S", "1 S"])
def test_a_timeout_that_makes_no_sense_is_an_error(calls: Calls, value: str) -> None:
    stream = calls.client().ask(head=with_field("grpc-timeout", value))
    calls.until(lambda: stream.end)
    assert stream.status == INTERNAL


@pytest.mark.parametrize("value", ["99999999H", "99999999M", "1S", "1500m", "9999999u"])
def test_how_long_a_caller_waits_is_known(calls: Calls, value: str) -> None:
    calls.client().ask(head=with_field("grpc-timeout", value))
    calls.until(lambda: calls.asked)
    remaining_ns = calls.asked[0].call.remaining_ns
    assert remaining_ns is not None
    assert remaining_ns > 0


def test_who_says_nothing_of_time_waits_for_ever(calls: Calls) -> None:
    calls.client().ask()
    calls.until(lambda: calls.asked)
    assert calls.asked[0].call.remaining_ns is None


@pytest.mark.parametrize("value", ["20m", "1n", "0S"])
def test_after_its_deadline_a_call_is_over(calls: Calls, value: str) -> None:
    stream = calls.client().ask(head=with_field("grpc-timeout", value))
    calls.until(lambda: stream.end)
    assert stream.status == DEADLINE
    assert calls.server.open == 0
    assert all(asked.gone == 1 and asked.call.over for asked in calls.asked)


def test_a_request_has_its_time(rig: Rig) -> None:
    calls = Calls(rig, request_timeout_ns=20 * MS)
    client = calls.client()
    stream = client.streams[client.begin()]
    calls.until(lambda: stream.end)
    assert stream.status == DEADLINE
    asked = client.ask()
    calls.until(lambda: calls.asked)
    # Its answer may take as long as it takes.
    calls.until(lambda: client.streams[client.begin()].end or True)
    assert not asked.end
    calls.close()


def test_who_goes_is_told_of_once(calls: Calls) -> None:
    client = calls.client()
    client.ask()
    client.ask()
    calls.until(lambda: len(calls.asked) == 2)
    client.h2.reset_stream(1, error_code=8)
    client.flush()
    calls.until(lambda: calls.asked[0].gone)
    assert not calls.asked[1].gone
    client.link.link.close()
    calls.clients.clear()
    calls.until(lambda: calls.asked[1].gone)
    assert [one.gone for one in calls.asked] == [1, 1]
    assert calls.server.open == 0
    call = calls.asked[0].call
    # Nobody hears it.
    assert call.send([b"late"])
    call.begin()
    call.finish()
    assert send_all([call], [b"late"]) == []


def test_a_finished_call_is_told_nothing(calls: Calls) -> None:
    calls.answer = lambda call: call.finish()
    client = calls.client()
    stream = client.ask()
    calls.until(lambda: stream.end)
    client.link.link.close()
    calls.clients.clear()
    calls.until(lambda: calls.server.connections == 0)
    assert not calls.asked[0].gone


def test_whoever_fails_ends_its_own_call(calls: Calls, failures: Failures) -> None:
    def fail(call: Call) -> None:
        raise RuntimeError("mine")

    client = calls.client()
    other = client.ask()
    calls.until(lambda: calls.asked)
    calls.answer = fail
    stream = client.ask()
    calls.until(lambda: stream.end)
    assert stream.status == INTERNAL
    assert failures == ["Call: RuntimeError('mine')"]
    failures.clear()
    assert not other.end
    assert calls.asked[1].gone == 1


def test_who_fails_to_hear_that_a_caller_has_gone_spoils_no_other(
    calls: Calls, failures: Failures
) -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    client = calls.client()
    client.ask()
    other = client.ask()
    calls.until(lambda: len(calls.asked) == 2)
    calls.asked[0].call.on_gone = fail
    client.h2.reset_stream(1, error_code=8)
    client.flush()
    calls.until(lambda: failures)
    failures.clear()
    calls.asked[1].call.finish()
    calls.until(lambda: other.end == "ended")


def test_one_message_reaches_all_of_many(calls: Calls) -> None:
    clients = [calls.client() for _ in range(5)]
    streams = [client.ask() for client in clients for _ in range(20)]
    calls.until(lambda: len(calls.asked) == 100)
    assert send_all([one.call for one in calls.asked], [b"first", b"second"]) == []
    expected = message(b"first") + message(b"second")
    calls.until(lambda: all(stream.body == expected for stream in streams))


def test_who_does_not_read_is_sent_no_more_and_spoils_nobody(calls: Calls) -> None:
    slow, fast = calls.client(reads=False), calls.client()
    behind, ahead = slow.ask(), fast.ask()
    calls.until(lambda: len(calls.asked) == 2)
    both = sorted(
        (one.call for one in calls.asked), key=lambda call: call.peer.port != slow_port(slow)
    )
    late: list[Call] = []
    sent = 0
    while not late:
        late = send_all(both, [b"x" * 10_000])
        sent += 1
        calls.until(lambda expected=sent * 10_005: len(ahead.body) == expected)
    assert late == [both[0]]
    assert calls.server.overflowed == 1
    # What the windows took, and what may wait.
    assert len(behind.body) <= 65_535
    assert both[0].queued <= 100_000
    assert not both[0].over
    both[0].finish(8, "too slow")
    # What was queued comes before the end of it.
    slow.h2.increment_flow_control_window(1_000_000)
    slow.h2.increment_flow_control_window(1_000_000, 1)
    slow.flush()
    calls.until(lambda: behind.end)
    assert (behind.status, behind.words) == (EXHAUSTED, "too slow")
    assert len(behind.body) == (sent - 1) * 10_005


def slow_port(client: object) -> int:
    link = client.link.link  # type: ignore[attr-defined]
    port: int = link.sock.getsockname()[1]
    return port


def test_a_message_larger_than_the_queue_is_sent_to_who_has_read_all(calls: Calls) -> None:
    stream = calls.client().ask()
    calls.until(lambda: calls.asked)
    for number in (1, 2):
        assert calls.asked[0].call.send([b"x" * 300_000])
        calls.until(lambda number=number: len(stream.body) == number * 300_005)


def test_an_answer_may_come_before_the_request_has_ended(calls: Calls) -> None:
    client = calls.client()
    stream = client.streams[client.begin([*CALL[:3], *CALL[3:]])]
    client.put(1, message(b"", length=5000), end=False)
    calls.until(lambda: stream.end)
    # The rest of it comes too late, and costs nobody anything.
    second = client.ask()
    calls.until(lambda: calls.asked)
    assert not second.end
