"""What is measured: each case does one operation of the engine many times in C, and sees that it was done."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from bench.micro.frames import PREFACE
from bench.micro.logged import logged_exchanges
from bench.micro.messages import BROWSER_REQUEST, RESPONSE, SIDECAR_REQUEST
from bench.micro.policed import inbound_exchanges
from bench.micro.proxied import http1_exchanges, http2_exchanges
from bench.micro.secured import handshakes, leg_exchanges
from bench.micro.tapped import untapped_exchanges, watched_exchanges
from bench.micro.traced import traced_exchanges
from linkerd2_py._ext.balance import testing as balance
from linkerd2_py._ext.balance.p2c import Candidate
from linkerd2_py._ext.detect.testing import detect_many
from linkerd2_py._ext.http1.testing import (
    Writer,
    parse_many,
    parse_request_bytes,
    parse_response_bytes,
)
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.metrics import testing as metrics
from linkerd2_py._ext.metrics.registry import Registry

# Does the operation so many times. AssertionError, here or at the end of the case, when it did not do its
# work.
Run = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One operation to measure.

    `counted`: operations whose instructions are counted, enough of them that a process's start does not
    matter.
    `timed`: operations of one timed round; with 1,000 the microseconds of a round are nanoseconds per
    operation.
    """

    name: str
    prepare: Callable[[], AbstractContextManager[Run]]
    counted: int
    timed: int = 1000


# ---- HTTP/1 heads


@contextmanager
def parsing(message: bytes, *, fields: int, request: bool = True) -> Iterator[Run]:
    """Parses one head with that many fields again and again."""
    head = parse_request_bytes(message) if request else parse_response_bytes(message)
    assert head is not None
    assert len(head["fields"]) + len(head["dropped"]) == fields

    def run(times: int) -> None:
        assert parse_many(message, times, request=request) == len(message)

    yield run


@contextmanager
def writing(message: bytes, *, request: bool = True) -> Iterator[Run]:
    """Serialises one parsed head again and again; what is written has the size of what was parsed."""
    with (
        closing(Loop()) as loop,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        accepted.setblocking(False)
        with closing(Writer(loop, accepted.detach(), message, request=request)) as writer:

            def run(times: int) -> None:
                assert writer.write_many(times) == times * len(message)

            yield run


# ---- Balancer

PICK_STEP_NS = 1_000_000  # how far the clock of `pick_many` goes with every pick


@contextmanager
def picking(endpoints: int) -> Iterator[Run]:
    """Chooses an endpoint, begins and completes on it, over that many ready ones."""
    ready = balance.ready_set(seed=1)
    candidates = [Candidate() for _ in range(endpoints)]
    for candidate in candidates:
        balance.add(ready, candidate, now=0)
    now = 0

    def run(times: int) -> None:
        nonlocal now
        before = balance.seed_of(ready)
        balance.pick_many(ready, times, now=now)
        now += times * PICK_STEP_NS
        assert balance.seed_of(ready) != before

    yield run
    assert not any(balance.pending(candidate) for candidate in candidates)


# ---- Metrics


@contextmanager
def recording() -> Iterator[Run]:
    """Records latencies of all sizes in one histogram."""

    def run(times: int) -> None:
        assert metrics.record_many(times) == times

    yield run


@contextmanager
def counting_responses() -> Iterator[Run]:
    """Counts successful responses of one label set: a counter and a histogram each."""
    registry = Registry()
    handle = metrics.http(registry, b"", b'direction="outbound"')
    counted = 0

    def run(times: int) -> None:
        nonlocal counted
        metrics.response_many(handle, times)
        counted += times

    yield run
    assert f'classification="success"}} {counted}\n'.encode() in exposition(registry)


def exposition(registry: Registry) -> bytes:
    return b"".join(registry.render(1))


def busy_registry(label_sets: int) -> tuple[Registry, list[object]]:
    """A registry with requests and responses in each label set, and the handles that keep it so."""
    registry = Registry()
    handles: list[object] = []
    for at in range(label_sets):
        labels = (
            f'authority="svc-{at}.ns.svc.cluster.local:80",direction="outbound",tls="no_identity"'
        )
        handle = metrics.http(registry, b"", labels.encode())
        metrics.request(handle, now=1)
        metrics.response_many(handle, 20)
        handles.append(handle)
    return registry, handles


@contextmanager
def rendering(label_sets: int) -> Iterator[Run]:
    """Writes the whole text of that many label sets."""
    registry, handles = busy_registry(label_sets)
    text = exposition(registry)
    assert text.count(b"\nrequest_total{") == label_sets == len(handles)

    def run(times: int) -> None:
        written = metrics.render_many(registry, times, now=1)
        # The process's own numbers change between two expositions, and with them a few digits.
        assert abs(written / times - len(text)) < 1000

    yield run


def exposition_size(label_sets: int) -> tuple[int, int]:
    """Bytes of the text that `rendering` writes, and its series: the lines with a number."""
    registry, _ = busy_registry(label_sets)
    text = exposition(registry)
    return len(text), sum(not line.startswith(b"#") for line in text.splitlines())


# ---- Detection

CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(32)
OPAQUE = b"\x00\x03\x00\x00" + bytes(32)  # the start of a PostgreSQL client


@contextmanager
def detecting(content: bytes, protocol: str) -> Iterator[Run]:
    """Tells a protocol by a client's first bytes."""

    def run(times: int) -> None:
        assert detect_many(content, times) == protocol

    yield run


# ---- All of them

EXCHANGES = 1000
LABEL_SETS = 1000


def all_cases() -> dict[str, Case]:
    """Every case by its name, in the order of a table."""
    cases = [
        Case("http1-parse-request-sidecar", partial(parsing, SIDECAR_REQUEST, fields=3), 20_000),
        Case("http1-parse-request-browser", partial(parsing, BROWSER_REQUEST, fields=13), 5_000),
        Case("http1-parse-response", partial(parsing, RESPONSE, fields=4, request=False), 20_000),
        Case("http1-write-request", partial(writing, SIDECAR_REQUEST), 20_000),
        Case("http1-write-response", partial(writing, RESPONSE, request=False), 20_000),
        Case("balance-pick-2", partial(picking, 2), 20_000),
        Case("balance-pick-100", partial(picking, 100), 20_000),
        Case("balance-pick-1000", partial(picking, 1000), 20_000),
        Case("metrics-record", recording, 500_000),
        Case("metrics-response", counting_responses, 100_000),
        Case("metrics-exposition", partial(rendering, LABEL_SETS), 1, 1),
        Case("detect-http1", partial(detecting, SIDECAR_REQUEST, "http1"), 100_000),
        Case("detect-http2", partial(detecting, PREFACE, "http2"), 100_000),
        Case("detect-tls", partial(detecting, CLIENT_HELLO, "tls"), 500_000),
        Case("detect-opaque", partial(detecting, OPAQUE, "opaque"), 500_000),
        Case("exchange-http1", http1_exchanges, EXCHANGES, 100),
        Case("exchange-http2", http2_exchanges, EXCHANGES, 100),
        Case("exchange-http1-routes", partial(http1_exchanges, routes=10), EXCHANGES, 100),
        Case("exchange-http2-routes", partial(http2_exchanges, routes=10), EXCHANGES, 100),
        Case("exchange-http1-policy", partial(http1_exchanges, policy=10), EXCHANGES, 100),
        Case(
            "exchange-http1-paced",
            partial(http1_exchanges, policy=10, paced=True),
            EXCHANGES,
            100,
        ),
        Case("exchange-http2-policy", partial(http2_exchanges, policy=10), EXCHANGES, 100),
        Case(
            "exchange-http2-paced",
            partial(http2_exchanges, policy=10, paced=True),
            EXCHANGES,
            100,
        ),
        Case("exchange-http1-table", partial(http1_exchanges, policy=5000), EXCHANGES, 100),
        Case(
            "exchange-http1-inbound",
            partial(inbound_exchanges, policed=False, h2=False),
            EXCHANGES,
            100,
        ),
        Case(
            "exchange-http1-policed",
            partial(inbound_exchanges, policed=True, h2=False),
            EXCHANGES,
            100,
        ),
        Case("exchange-http1-untapped", untapped_exchanges, EXCHANGES, 100),
        Case("exchange-http1-watched", partial(watched_exchanges, told=False), EXCHANGES, 100),
        Case("exchange-http1-told", partial(watched_exchanges, told=True), EXCHANGES, 100),
        Case("exchange-http1-apache", partial(logged_exchanges, json=False), EXCHANGES, 100),
        Case("exchange-http1-json", partial(logged_exchanges, json=True), EXCHANGES, 100),
        Case(
            "exchange-http1-in-trace",
            partial(traced_exchanges, sampled=False, collected=False),
            EXCHANGES,
            100,
        ),
        Case("exchange-http1-unsampled", partial(traced_exchanges, sampled=False), EXCHANGES, 100),
        Case("exchange-http1-sampled", partial(traced_exchanges, sampled=True), EXCHANGES, 100),
        Case("leg-plain", partial(leg_exchanges, tls=False), EXCHANGES, 100),
        Case("leg-tls", partial(leg_exchanges, tls=True), EXCHANGES, 100),
        Case("tls-handshake", handshakes, 100, 10),
    ]
    return {case.name: case for case in cases}
