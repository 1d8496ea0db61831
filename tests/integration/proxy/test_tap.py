"""Tap.Observe of whole proxies, asked by gRPC's own client over mutual TLS."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest, TapEvent
from tests.support.certified import certified, name_in
from tests.support.origin import origin, talk
from tests.support.ports import free_address
from tests.support.sidecar import sidecar
from tests.support.tapped import (
    TAP_IDENTITY,
    as_client,
    asked,
    entitled,
    id_of,
    kind_of,
    observing,
    refusal,
    tap_channel,
    tap_of,
    tapped,
)
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET /path?secret=1 HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n"


async def test_a_request_is_told_of_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
        observing(channel, asked()) as watching,
    ):
        await talk(proxy.static(direction="inbound"), GET, until=b"ok")
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == ["request_init", "response_init", "response_end"]
        begun, answered, ended = watching.events
        assert len(watching.stories()) == 1
        assert begun.proxy_direction == TapEvent.INBOUND
        assert begun.destination.port == server.address[1]
        assert begun.destination.ip.ipv4 == begun.source.ip.ipv4 == 0x7F000001
        assert begun.source_meta.labels == {"tls": "no_tls_from_remote"}
        assert begun.http.request_init.authority == "web.test"
        assert begun.http.request_init.path == "/path"
        assert answered.http.response_init.http_status == 200
        assert ended.http.response_end.response_bytes == 2
        assert not ended.http.response_end.eos.WhichOneof("end")
        assert not begun.http.request_init.HasField("headers")


async def test_a_workload_of_the_other_family_is_told_of_as_it_was_called(tmp_path: Path) -> None:
    """By metrics and by taps alike: as the address that its client called, wherever the proxy found it."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    server = await asyncio.start_server(serve, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        certified(tmp_path) as mesh,
        tapped(mesh, ("127.0.0.1", port), INBOUND_IPS="127.0.0.1,::1") as proxy,
        entitled(proxy, mesh) as channel,
        observing(channel, asked()) as watching,
    ):
        for _ in range(2):
            await talk(proxy.static(direction="inbound"), GET, until=b"ok")
        await watching.until(lambda events: len(events) == 6)
        for event in watching.events:
            assert event.destination.ip.ipv4 == 0x7F000001
            assert event.destination.port == port
        text = b"".join(proxy.proxy.parts.registry.render()).decode()
        told = [line for line in text.splitlines() if line.startswith("response_total{")]
        assert [f'target_addr="127.0.0.1:{port}"' in line for line in told] == [True]


@pytest.mark.parametrize("who", ["plain", "nobody", "another"])
async def test_nobody_but_one_identity_may_tap(tmp_path: Path, who: str) -> None:
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
    ):
        credentials = {
            "plain": None,
            "nobody": grpc.ssl_channel_credentials(mesh.anchors),
            "another": as_client(mesh, name_in("web")),
        }[who]
        async with tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=credentials
        ) as channel:
            code, words = await refusal(channel, asked())
        assert code == grpc.StatusCode.UNAUTHENTICATED
        assert words.startswith("Unauthorized client")


async def test_what_cannot_be_matched_is_refused(tmp_path: Path) -> None:
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
    ):
        assert await refusal(channel, asked(limit=0)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "limit must be positive",
        )
        code, words = await refusal(channel, asked(ObserveRequest.Match()))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert "empty" in words


async def test_without_an_identity_nobody_listens() -> None:
    async with sidecar(TAP_SVC_NAME=TAP_IDENTITY, CONTROL_LISTEN_ADDR="127.0.0.1:0") as proxy:
        assert "tap" not in proxy.listeners
        (warning,) = proxy.proxy.parts.config.warnings
        assert "nobody can tap this proxy" in warning


async def test_everybody_who_watches_hears_all_and_one_more_is_refused(tmp_path: Path) -> None:
    async with (
        AsyncExitStack() as watchers,
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
    ):
        watching = [
            await watchers.enter_async_context(observing(channel, asked(limit=1)))
            for _ in range(100)
        ]
        code, words = await refusal(channel, asked())
        assert (code, words) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many active taps")
        await talk(proxy.static(direction="inbound"), GET, until=b"ok")
        for one in watching:
            await one.until(lambda events: len(events) == 3)
            # Each has had what it wanted.
            await eventually_async(one.has_ended)
        assert len({id_of(one.events[0])[0] for one in watching}) == 100
        await watchers.aclose()


async def test_who_wants_few_requests_a_second_is_told_of_no_more(tmp_path: Path) -> None:
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
        observing(channel, asked()) as all_of_them,
        # One in a hundred seconds, longer than this test takes.
        observing(channel, asked(), l5d_tap_max_rps="0.01") as few,
    ):
        for _ in range(5):
            await talk(proxy.static(direction="inbound"), GET, until=b"ok")
        await all_of_them.until(lambda events: len(events) == 15)
        await few.until(lambda events: len(events) >= 3)
        assert len(few.stories()) == 1


async def test_headers_are_told_where_they_are_asked_for_and_secrets_never(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: s3cret\r\nx-app: \xff\r\n\r\nok"
    get = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret\r\nX-Api-Key: s3cret\r\nX-One: 1\r\n\r\n"
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: answer) as server,
        tapped(mesh, server.address) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
        observing(channel, asked(headers=True)) as watching,
    ):
        await talk(proxy.static(direction="inbound"), get, until=b"ok")
        await watching.until(lambda events: len(events) == 3)
        fields = {
            one.name.lower(): one.value
            for event in watching.events[:2]
            for one in getattr(event.http, kind_of(event)).headers.headers
        }
        assert fields["x-one"] == b"1"
        assert fields["authorization"] == fields["x-api-key"] == fields["set-cookie"]
        assert fields["authorization"] == b"[redacted]"
        assert b"s3cret" not in b"".join(event.SerializeToString() for event in watching.events)


async def test_an_answer_of_the_proxys_own_is_told_of(tmp_path: Path) -> None:
    async with (
        certified(tmp_path) as mesh,
        tapped(mesh, free_address()) as proxy,
        tap_channel(
            tap_of(proxy), name=name_in("web"), credentials=as_client(mesh, TAP_IDENTITY)
        ) as channel,
        observing(channel, asked()) as watching,
    ):
        await talk(proxy.static(direction="inbound"), GET, until=b"\r\n\r\n")
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == ["request_init", "response_init", "response_end"]
        assert watching.events[1].http.response_init.http_status == 502
