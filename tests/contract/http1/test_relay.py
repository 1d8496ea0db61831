"""Both codecs back to back: what one HTTP/1 peer says arrives at the other as h11 reads it, and
nothing more.
"""

from collections.abc import Iterator

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.http1.testing import Relaying, is_reusable
from tests.support.http1_bench import Bench, Wire, running_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield from running_bench()


def relay(bench: Bench) -> tuple[Wire, Wire]:
    """(client's wire, endpoint's wire) with both codecs between."""
    endpoint, _, client = bench.client()
    wire, _, _ = bench.server(Relaying(client))
    assert is_reusable(client)
    return wire, endpoint


class Endpoint:
    """An h11 server at the far end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.http = h11.Connection(h11.SERVER)
        self.taken = 0

    def next_request(self) -> tuple[h11.Request, bytes, list[tuple[bytes, bytes]]]:
        head: h11.Request | None = None
        body = b""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.wire.until(lambda: len(self.wire.received) > self.taken)
                self.http.receive_data(bytes(self.wire.received[self.taken :]))
                self.taken = len(self.wire.received)
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return head, body, list(event.headers)

    def answer(self, status: int, body: bytes, *, chunked: bool) -> None:
        framing = (
            ("transfer-encoding", "chunked") if chunked else ("content-length", str(len(body)))
        )
        out = self.http.send(
            h11.Response(status_code=status, headers=[framing, ("x-from", "endpoint")])
        )
        assert out is not None
        for part in (h11.Data(data=body), h11.EndOfMessage()):
            out += self.http.send(part) or b""
        self.wire.send(out)
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()


class Caller:
    """An h11 client at the near end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.http = h11.Connection(h11.CLIENT)
        self.taken = 0

    def request(self, method: str, framing: str, body: bytes, *, step: int) -> None:
        headers = [("Host", "web"), ("X-Case", "Kept"), ("Keep-Alive", "timeout=5")]
        if framing == "length":
            headers.append(("Content-Length", str(len(body))))
        elif framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        out = self.http.send(h11.Request(method=method, target="/p?q", headers=headers)) or b""
        out += self.http.send(h11.Data(data=body)) or b""
        trailers = [("x-sum", "1")] if framing == "chunked" else []
        out += self.http.send(h11.EndOfMessage(headers=trailers)) or b""
        self.wire.send(out, step=step)

    def response(self) -> tuple[h11.Response, bytes]:
        head: h11.Response | None = None
        body = b""
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.wire.until(lambda: len(self.wire.received) > self.taken)
                self.http.receive_data(bytes(self.wire.received[self.taken :]))
                self.taken = len(self.wire.received)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                self.http.start_next_cycle()
                return head, body


EXCHANGES = st.lists(
    st.tuples(
        st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]),
        st.sampled_from(["none", "length", "chunked"]),
        st.binary(max_size=300),
        st.sampled_from([200, 204, 304, 404, 500]),
        st.booleans(),
        st.binary(max_size=300),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exchanges=EXCHANGES)
def test_exchanges_survive_both_codecs(
    bench: Bench, exchanges: list[tuple[str, str, bytes, int, bool, bytes, int]]
) -> None:
    wire, line = relay(bench)
    caller = Caller(wire)
    endpoint = Endpoint(line)
    for method, framing, content, status, chunked, answered, step in exchanges:
        sent = b"" if framing == "none" else content
        caller.request(method, framing, sent, step=step)
        head, body, trailers = endpoint.next_request()
        assert (head.method, head.target, body) == (method.encode(), b"/p?q", sent)
        assert (b"X-Case", b"Kept") in head.headers.raw_items()
        assert b"keep-alive" not in [name for name, _ in head.headers]
        assert trailers == ([(b"x-sum", b"1")] if framing == "chunked" else [])
        bodyless = method == "HEAD" or status in {204, 304}
        endpoint.answer(status, b"" if bodyless else answered, chunked=chunked and not bodyless)
        response, received = caller.response()
        assert (response.status_code, received) == (status, b"" if bodyless else answered)
        assert (b"x-from", b"endpoint") in list(response.headers)


def test_a_response_cut_short_is_cut_for_the_client(bench: Bench) -> None:
    wire, line = relay(bench)
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    line.until(lambda: line.received)
    line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    line.finish()
    wire.expect_cut()


def test_a_response_until_close_becomes_chunks(bench: Bench) -> None:
    wire, line = relay(bench)
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    line.until(lambda: line.received)
    line.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
    line.finish()
    wire.expect(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_a_client_that_goes_away_takes_its_request_along(bench: Bench) -> None:
    wire, line = relay(bench)
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    line.until(lambda: line.received)
    wire.cut()
    line.expect_cut()


def test_a_large_body_crosses_whole(bench: Bench) -> None:
    wire, line = relay(bench)
    body = bytes(range(256)) * 8192
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(body), 50_000):
        piece = body[at : at + 50_000]
        wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        line.take()
    wire.send(b"0\r\n\r\n")
    endpoint = Endpoint(line)
    head, received, _ = endpoint.next_request()
    assert head.method == b"POST"
    assert received == body
    endpoint.answer(200, body, chunked=False)
    wire.until(lambda: len(wire.received) > len(body))
    assert wire.received.endswith(body[-1000:])


RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
]
REQUESTS = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
]


def is_complete(received: bytes, *, request: bool) -> bool:
    """Whether h11 sees a whole message; for a response, a final one."""
    reader = h11.Connection(h11.SERVER if request else h11.CLIENT)
    if not request:
        reader.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        reader.send(h11.EndOfMessage())
    if not received:
        return False
    reader.receive_data(received)
    while True:
        event = reader.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return False
        if isinstance(event, h11.EndOfMessage):
            return True


@pytest.mark.parametrize("orderly", [True, False])
@pytest.mark.parametrize("response", RESPONSES)
def test_no_cut_of_a_response_looks_complete(bench: Bench, response: bytes, orderly: bool) -> None:
    for end in range(len(response)):
        wire, line = relay(bench)
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        line.send(response[:end])
        if orderly:
            line.finish()
        else:
            line.cut()
        wire.expect_cut()
        assert not is_complete(bytes(wire.received), request=False)


@pytest.mark.parametrize("orderly", [True, False])
@pytest.mark.parametrize("request_bytes", REQUESTS)
def test_no_cut_of_a_request_looks_complete(
    bench: Bench, request_bytes: bytes, orderly: bool
) -> None:
    head = request_bytes.index(b"\r\n\r\n") + 4
    for end in range(head, len(request_bytes)):
        wire, line = relay(bench)
        wire.send(request_bytes[:end])
        if orderly:
            wire.finish()
        else:
            wire.cut()
        line.expect_cut()
        assert not is_complete(bytes(line.received), request=True)
