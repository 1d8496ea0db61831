"""Traces through whole proxies: untouched where nobody collects spans, and else a chain of spans from who
called to who was called, as a collector that speaks gRPC's own implementation gets them.
"""

import itertools
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from linkerd2_py.proto.gen.otlp_trace_pb2 import Span, Status
from tests.integration.proxy.test_mutual_tls import pair
from tests.support.certified import name_in
from tests.support.grpc_echo import EchoServer, echo_client, echo_server
from tests.support.origin import Origin, origin, talk
from tests.support.otlp import Collector, attributes, collector
from tests.support.ports import free_port
from tests.support.series import series
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nok"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{CALLER}-00", "tracestate": "vendor=1"}
B3 = {"x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-parentspanid": "05e3ac9a4f6e3b90"}
B3_SAMPLED = B3 | {"x-b3-sampled": "1"}
B3_SINGLE = {"b3": f"{TRACE}-{CALLER}-1-05e3ac9a4f6e3b90"}
MALFORMED = {"traceparent": f"00-{TRACE}-{CALLER}", "b3": "1", "grpc-trace-bin": "AAAA"}
EVERY = [SAMPLED, UNSAMPLED, B3_SAMPLED, B3, B3_SINGLE, MALFORMED]


def request_with(fields: Mapping[str, str], *, path: str = "/a?b=c") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return (
        f"POST {path} HTTP/1.1\r\nHost: web.test:81\r\nUser-Agent: curl/8\r\nContent-Length: 3\r\n"
        f"Content-Type: text/plain\r\n{lines}\r\nabc"
    ).encode()


def fields_of(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode().split("\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in lines}


def told(proxy: InProcess) -> str:
    return b"".join(proxy.proxy.parts.registry.render()).decode()


def count(proxy: InProcess, family: str) -> int:
    return int(sum(series(told(proxy), family).values()))


@dataclass
class Chain:
    """A caller's proxy and that of whom it calls, without TLS."""

    web: InProcess
    voting: InProcess

    @property
    def door(self) -> tuple[str, int]:
        return self.web.static()


@asynccontextmanager
async def chain(workload: tuple[str, int], **variables: str) -> AsyncIterator[Chain]:
    async with AsyncExitStack() as held:
        voting = await held.enter_async_context(
            sidecar(INBOUND_STATIC_PORTS=f"127.0.0.1:0={workload[0]}:{workload[1]}", **variables)
        )
        host, port = voting.static(direction="inbound")
        web = await held.enter_async_context(
            sidecar(OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}", **variables)
        )
        yield Chain(web, voting)


def collected(by: Collector, name: str = "web") -> dict[str, str]:
    return {"TRACE_COLLECTOR_SVC_ADDR": by.address, "TRACE_SERVICE_NAME": name}


async def spans_of(by: Collector, number: int) -> list[Span]:
    """In the order of the chain: each is the parent of the next."""
    await eventually_async(lambda: len(by.spans()) >= number, what=f"{number} spans")
    assert len(by.spans()) == number
    below = {span.parent_span_id: span for span in by.spans()}
    found, parent = [], bytes.fromhex(CALLER)
    while parent in below:
        found.append(below[parent])
        parent = below[parent].span_id
    assert len(found) == number
    return found


# ---- untouched


@pytest.mark.parametrize("fields", EVERY)
async def test_over_http1_nothing_is_changed_where_nobody_collects(
    fields: Mapping[str, str],
) -> None:
    async with origin(lambda *_: OK) as server, chain(server.address) as both:
        assert b"200" in await talk(both.door, request_with(fields), until=b"ok")
    assert fields.items() <= fields_of(server.heads[0]).items()


@pytest.mark.parametrize("fields", EVERY)
async def test_over_http2_nothing_is_changed_where_nobody_collects(
    fields: Mapping[str, str],
) -> None:
    fields = {name: value for name, value in fields.items() if name != "grpc-trace-bin"}
    async with (
        echo_server() as server,
        chain(server.address) as both,
        echo_client(both.door) as client,
    ):
        await client.unary(b"x", metadata=list(fields.items()))
    assert fields.items() <= server.seen.metadata[0].items()


@pytest.mark.parametrize("fields", [UNSAMPLED, B3, MALFORMED, {}])
async def test_what_is_not_sampled_passes_as_it_came(fields: Mapping[str, str]) -> None:
    async with (
        collector() as by,
        origin(lambda *_: OK) as server,
        chain(server.address, **collected(by)) as both,
    ):
        assert b"200" in await talk(both.door, request_with(fields), until=b"ok")
    assert fields.items() <= fields_of(server.heads[0]).items()
    assert by.asked == 0


# ---- spans


@pytest.mark.parametrize("fields", [SAMPLED, B3_SAMPLED, B3_SINGLE])
async def test_spans_lead_from_who_called_to_who_was_called(fields: Mapping[str, str]) -> None:
    begun = time.time_ns()
    async with (
        collector() as by,
        origin(lambda *_: OK) as server,
        chain(server.address, **collected(by)) as both,
    ):
        assert b"200" in await talk(both.door, request_with(fields), until=b"ok")
        spans = await spans_of(by, 4)
        assert count(both.web, "opentelemetry_span_exports") == 2
        assert count(both.voting, "opentelemetry_span_export_requests") == 1
        assert count(both.web, "opentelemetry_spans_lost_total") == 0
    assert {span.trace_id for span in spans} == {bytes.fromhex(TRACE)}
    assert [span.kind for span in spans] == [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT] * 2
    found = [attributes(span) for span in spans]
    assert [one["direction"] for one in found] == ["outbound"] * 2 + ["inbound"] * 2
    for span, said in zip(spans, found, strict=True):
        assert span.name == "/a"
        assert begun < span.start_time_unix_nano <= span.end_time_unix_nano < time.time_ns()
        assert not span.status.code
        said.pop("direction")
        assert said == {
            "http.request.method": "POST",
            "url.scheme": "http",
            "url.path": "/a",
            "url.query": "b=c",
            "url.full": "http://web.test:81/a?b=c",
            "network.transport": "tcp",
            "server.address": "web.test",
            "server.port": "81",
            "user_agent.original": "curl/8",
            "http.request.header.content-length": "3",
            "http.request.header.content-type": "text/plain",
            "http.response.status_code": "200",
        }
    assert [span.flags for span in spans] == [0x301, 0x101] * 2
    for outer, inner in itertools.pairwise(spans):
        assert outer.start_time_unix_nano <= inner.start_time_unix_nano
    # The workload is told of the last span, and of the rest what the caller said.
    heard = fields_of(server.heads[0])
    text = "\n".join(heard[name] for name in fields).replace(spans[-1].span_id.hex(), CALLER)
    assert text == "\n".join(fields.values())
    for resource in by.resources():
        assert resource["service.name"] == "web"
        assert isinstance(resource["process.pid"], int)
        assert resource["host.name"]


async def test_grpc_between_certified_proxies_and_http1_within_http2(tmp_path: Path) -> None:
    async with collector() as by:
        variables = collected(by)
        async with pair(tmp_path, caller=variables, **variables) as both:
            get = request_with(SAMPLED)
            assert b"200" in await talk(both.door, get, until=b"ok")
            spans = await spans_of(by, 4)
    heard = fields_of(both.server.heads[0])
    assert heard["traceparent"] == f"00-{TRACE}-{spans[-1].span_id.hex()}-01"
    assert heard["l5d-client-id"] == name_in("web")


async def call(server: EchoServer, both: Chain, **metadata: str) -> None:
    async with echo_client(both.door, authority="web.test") as client:
        fields = list(SAMPLED.items()) + [(k.replace("_", "-"), v) for k, v in metadata.items()]
        if metadata:
            with pytest.raises(grpc.aio.AioRpcError):
                await client.unary(b"x", metadata=fields)
        else:
            await client.unary(b"x", metadata=fields)


async def test_a_call_of_grpc_and_one_that_fails() -> None:
    async with (
        collector() as by,
        echo_server() as server,
        chain(server.address, **collected(by)) as both,
    ):
        await call(server, both)
        spans = await spans_of(by, 4)
        assert {span.name for span in spans} == {"/l5d.test.Echo/Unary"}
        assert {attributes(span)["url.full"] for span in spans} == {
            "http://web.test/l5d.test.Echo/Unary"
        }
        assert server.seen.metadata[0]["traceparent"].endswith(f"{spans[-1].span_id.hex()}-01")
        assert not any(span.status.code for span in spans)
        by.requests.clear()
        await call(server, both, x_status="INTERNAL", x_message="no")
        failed = await spans_of(by, 4)
    assert {span.status.code for span in failed} == {Status.STATUS_CODE_ERROR}


async def test_what_the_proxy_answers_itself_has_one_span() -> None:
    async with (
        collector() as by,
        chain(("127.0.0.1", free_port()), **collected(by)) as both,
    ):
        assert b"502" in await talk(both.door, request_with(SAMPLED), until=b"502")
        # The caller's proxy has asked somebody; that one has not.
        spans = await spans_of(by, 3)
    assert [attributes(span)["direction"] for span in spans] == ["outbound", "outbound", "inbound"]
    assert {span.status.code for span in spans} == {Status.STATUS_CODE_ERROR}
    assert {attributes(span)["http.response.status_code"] for span in spans} == {"502"}


async def test_the_servers_failure_is_an_error(tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.write_text('app="voting"\nservice.name="from-label"\nnonsense\n')
    extra = {
        "TRACE_ATTRIBUTES_PATH": str(labels),
        "TRACE_EXTRA_ATTRIBUTES": "k8s.pod.ip=10.0.0.1\nservice.name=from-extra\n",
    }
    async with (
        collector() as by,
        origin(lambda *_: BAD) as server,
        chain(server.address, **collected(by), **extra) as both,
    ):
        assert b"503" in await talk(both.door, request_with(SAMPLED), until=b"ok")
        spans = await spans_of(by, 4)
    assert {span.status.code for span in spans} == {Status.STATUS_CODE_ERROR}
    said = by.resources()[0]
    assert (said["app"], said["k8s.pod.ip"]) == ("voting", "10.0.0.1")
    assert said["service.name"] == "from-extra"


# ---- a collector that is away, or has had enough


async def ask(server: Origin, both: Chain) -> None:
    assert b"200" in await talk(both.door, request_with(SAMPLED), until=b"ok")


async def test_what_a_collector_does_not_take_for_a_while_is_sent_again() -> None:
    async with (
        collector() as by,
        origin(lambda *_: OK) as server,
        sidecar(
            OUTBOUND_STATIC_PORTS="127.0.0.1:0={}:{}".format(*server.address), **collected(by)
        ) as web,
    ):
        by.refuses += [grpc.StatusCode.UNAVAILABLE] * 2
        await ask(server, Chain(web, web))
        await spans_of(by, 2)
        assert by.asked == 3
        assert count(web, "opentelemetry_spans_lost_total") == 0
        # What it will never take is lost, and counted.
        by.requests.clear()
        by.refuses += [grpc.StatusCode.INVALID_ARGUMENT]
        await ask(server, Chain(web, web))
        await eventually_async(lambda: count(web, "opentelemetry_spans_lost_total") == 2)
        by.rejects = 1
        await ask(server, Chain(web, web))
        await spans_of(by, 2)
        await eventually_async(lambda: count(web, "opentelemetry_spans_lost_total") == 3)
        assert count(web, "opentelemetry_span_exports") == 3


async def test_a_collector_that_is_not_there_stops_nobody_and_gets_its_spans_when_it_is() -> None:
    port = free_port()
    async with (
        origin(lambda *_: OK) as server,
        sidecar(
            OUTBOUND_STATIC_PORTS="127.0.0.1:0={}:{}".format(*server.address),
            TRACE_COLLECTOR_SVC_ADDR=f"127.0.0.1:{port}",
        ) as web,
    ):
        for _ in range(50):
            await ask(server, Chain(web, web))
        async with collector(port) as by:
            await eventually_async(lambda: len(by.spans()) == 100)


async def test_what_was_noted_before_the_end_is_sent_at_the_end() -> None:
    async with collector() as by, origin(lambda *_: OK) as server:
        async with sidecar(
            OUTBOUND_STATIC_PORTS="127.0.0.1:0={}:{}".format(*server.address), **collected(by)
        ) as web:
            await ask(server, Chain(web, web))
        assert len(by.spans()) == 2


async def test_hostile_values_are_text_and_many_of_them_are_bounded() -> None:
    path = "/" + "%22" * 10 + "\x80" * 3000 + "?" + "x" * 3000
    wire = request_with(SAMPLED, path="/@").replace(b"/@", path.encode("latin-1"))
    wire = wire.replace(b"curl/8", b"\xff\x9b" * 2000)
    async with (
        collector() as by,
        origin(lambda *_: OK) as server,
        sidecar(
            OUTBOUND_STATIC_PORTS="127.0.0.1:0={}:{}".format(*server.address), **collected(by)
        ) as web,
    ):
        for _ in range(3):
            assert b"200" in await talk(web.static(), wire, until=b"ok")
        await eventually_async(lambda: len(by.spans()) == 6)
    for span in by.spans():
        assert re.fullmatch(r"[ -~]{1,4000}", span.name)
        for value in attributes(span).values():
            assert re.fullmatch(r"[ -~]{0,4000}", str(value))
