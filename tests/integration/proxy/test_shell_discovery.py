"""The whole proxy in this process, discovering through a real gRPC server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest

from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proxy.discovery import messages, watch
from tests.support.destination_messages import add, no_endpoints, remove, weighted
from tests.support.destination_stub import DestinationStub
from tests.support.dns_server import AAAA, A, DnsServer, Rows
from tests.support.origin import origin, talk
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import DEADLINE_S, eventually_async, within

WEB = "web.ns.svc.cluster.local"
PATH = f"{WEB}:80"
URL = f"http://{WEB}/"


@asynccontextmanager
async def workload(name: str) -> AsyncIterator[tuple[str, int]]:
    """A server that answers with its name."""
    body = name.encode()

    def answer(head: bytes, _: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async with origin(answer) as server:
        yield server.address


@asynccontextmanager
async def greeter() -> AsyncIterator[tuple[str, int]]:
    """A server that speaks first, and then hangs up."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


@asynccontextmanager
async def mesh(**variables: str) -> AsyncIterator[tuple[DestinationStub, InProcess]]:
    """A proxy and its control plane."""
    async with DestinationStub() as stub:
        settings = {"DESTINATION_SVC_ADDR": stub.address, **variables}
        async with sidecar(**settings) as proxy:
            yield stub, proxy


async def answers(proxy: InProcess, url: str = URL) -> str:
    """The body of the answer, or its status when it is not 200."""
    raw = await proxy.get(url)
    head, _, body = raw.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1].decode()
    return body.decode() if status == "200" else status


async def answered_by(proxy: InProcess, *names: str, url: str = URL) -> None:
    """Until exactly these answer."""

    async with within(DEADLINE_S):
        while {await answers(proxy, url) for _ in range(4 * len(names))} != set(names):
            pass


async def test_endpoints_come_change_and_go() -> None:
    async with workload("one") as one, workload("two") as two, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        stub.send(PATH, add(two))
        await answered_by(proxy, "one", "two")
        stub.send(PATH, remove(one))
        await answered_by(proxy, "two")


async def test_a_name_server_that_never_says_aaaa_costs_no_answer(tmp_path: Path) -> None:
    async with workload("one") as (host, port):
        zone = {("web.test", A): Rows((host,), ttl=1)}
        with DnsServer(zone, silent_about=frozenset({AAAA})) as dns:
            conf = tmp_path / "resolv.conf"
            conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with sidecar(RESOLV_CONF=str(conf)) as proxy:
                assert await answers(proxy, f"http://web.test:{port}/") == "one"
                await eventually_async(lambda: dns.asked("web.test") >= 2)
                assert await answers(proxy, f"http://web.test:{port}/") == "one"


@asynccontextmanager
async def spelled_outside(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, wait_s: float
) -> AsyncIterator[tuple[DestinationStub, InProcess, str, DnsServer]]:
    """A workload that DNS knows as `web.ns`, which the mesh takes for `web.ns.svc.cluster.local` first."""
    monkeypatch.setattr(watch, "_SPELLED_WAIT_S", wait_s)
    async with workload("outside") as (host, port):
        with DnsServer({("web.ns", A): Rows((host,))}) as dns:
            conf = folder / "resolv.conf"
            conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with mesh(RESOLV_CONF=str(conf), POD_NAMESPACE="mine") as (stub, proxy):
                yield stub, proxy, f"web.ns:{port}", dns


async def test_a_stream_that_fails_looks_for_the_name_as_it_was_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spelled_outside(tmp_path, monkeypatch, wait_s=3600) as (stub, proxy, name, _):
        completed = name.replace(":", ".svc.cluster.local:")
        stub.refusals[completed] = grpc.StatusCode.UNAVAILABLE
        assert await answers(proxy, f"http://{name}/") == "outside"
        assert stub.count(completed) >= 1


async def test_a_silent_stream_looks_for_the_name_as_it_was_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spelled_outside(tmp_path, monkeypatch, wait_s=0.05) as (_, proxy, name, _dns):
        assert await answers(proxy, f"http://{name}/") == "outside"


async def test_a_stream_that_fails_after_an_answer_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        workload("one") as one,
        spelled_outside(tmp_path, monkeypatch, wait_s=3600) as (stub, proxy, name, dns),
    ):
        completed = name.replace(":", ".svc.cluster.local:")
        stub.endpoints[completed] = add(one)
        assert await answers(proxy, f"http://{name}/") == "one"
        stub.refusals[completed] = grpc.StatusCode.UNAVAILABLE
        stub.open_gets(completed)[0].end()
        await eventually_async(lambda: stub.count(completed) >= 3)
        assert await answers(proxy, f"http://{name}/") == "one"
        assert dns.questions == []


async def test_the_request_says_who_asks() -> None:
    async with workload("one") as one, mesh(DESTINATION_CONTEXT='{"ns":"ns"}') as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        await answers(proxy)
        assert {stream.token for stream in (*stub.gets, *stub.profile_gets)} == {'{"ns":"ns"}'}
        assert [stream.path for stream in stub.profile_gets] == [PATH]


async def test_after_a_reconnect_the_first_add_replaces() -> None:
    async with workload("one") as one, workload("two") as two, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        stub.endpoints[PATH] = add(two)
        stub.open_gets(PATH)[0].end()
        await eventually_async(lambda: stub.count(PATH) == 2)
        await answered_by(proxy, "two")


async def test_a_remove_before_the_first_add_is_ignored_after_a_reconnect() -> None:
    async with workload("one") as one, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        stub.endpoints[PATH] = remove(one)
        stub.open_gets(PATH)[0].fail(grpc.StatusCode.UNAVAILABLE)
        await eventually_async(lambda: stub.count(PATH) == 2)
        assert await answers(proxy) == "one"


@pytest.mark.parametrize(("what", "kind"), [("endpoints", "Get"), ("profile", "GetProfile")])
async def test_what_nobody_foresaw_in_an_answer_ends_one_stream_and_is_counted(
    monkeypatch: pytest.MonkeyPatch, what: str, kind: str
) -> None:
    read, failures = getattr(messages, what), 2

    def fail_at_first(message: object) -> object:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OverflowError("unforeseen")
        return read(message)

    monkeypatch.setattr(messages, what, fail_at_first)
    async with workload("one") as one, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        await eventually_async(lambda: failures < 0)
        metrics = await proxy.ask_admin("GET", "/metrics")
        assert f'task_failures_total{{task="{kind}"}} 2'.encode() in metrics


async def test_the_control_plane_dies_and_returns_and_endpoints_stay() -> None:
    async with workload("one") as one, workload("two") as two, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        await stub.stop()
        for _ in range(20):
            assert await answers(proxy) == "one"
        stub.endpoints[PATH] = add(two)
        await stub.start()
        await answered_by(proxy, "two")


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED],
)
async def test_other_codes_are_tried_again(code: grpc.StatusCode) -> None:
    async with workload("one") as one, mesh() as (stub, proxy):
        stub.refusals[PATH] = code
        waiting = spawn(answers(proxy), name="waiting")
        await eventually_async(lambda: stub.count(PATH) >= 2)
        stub.refusals.clear()
        stub.endpoints[PATH] = add(one)
        assert await waiting == "one"


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION]
)
async def test_a_final_answer_means_forward_as_is(code: grpc.StatusCode, tmp_path: Path) -> None:
    async with workload("one") as (host, port):
        with DnsServer({(WEB, A): Rows((host,))}) as dns:
            conf = tmp_path / "resolv.conf"
            conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with mesh(RESOLV_CONF=str(conf)) as (stub, proxy):
                path = f"{WEB}:{port}"
                stub.refusals[path] = code
                assert await answers(proxy, f"http://{path}/") == "one"
                assert stub.count(path) == 1


async def test_an_address_of_the_mesh_is_forwarded_when_the_answer_is_final() -> None:
    async with (
        workload("one") as (host, port),
        mesh(DESTINATION_PROFILE_NETWORKS="127.0.0.0/8") as (stub, proxy),
    ):
        path = f"{host}:{port}"
        stub.refusals[path] = grpc.StatusCode.INVALID_ARGUMENT
        assert await answers(proxy, f"http://{path}/") == "one"
        assert [stream.path for stream in stub.profile_gets] == [path]
        assert stub.gets == []


async def test_an_address_that_stands_for_a_service_is_balanced() -> None:
    async with (
        workload("one") as one,
        mesh(DESTINATION_PROFILE_NETWORKS="127.9.9.0/24") as (stub, proxy),
    ):
        stub.profiles["127.9.9.9:80"] = destination.DestinationProfile(fully_qualified_name=WEB)
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy, "http://127.9.9.9/") == "one"


async def test_an_address_that_is_one_pod_goes_there() -> None:
    async with (
        workload("one") as one,
        mesh(DESTINATION_PROFILE_NETWORKS="127.9.9.0/24") as (stub, proxy),
    ):
        stub.profiles["127.9.9.9:80"] = destination.DestinationProfile(endpoint=weighted(*one))
        assert await answers(proxy, "http://127.9.9.9/") == "one"
        assert stub.gets == []


async def test_an_address_without_an_answer_is_used_as_it_is() -> None:
    async with workload("one") as (host, port):
        variables = {
            "DESTINATION_PROFILE_NETWORKS": "127.0.0.0/8",
            "DESTINATION_PROFILE_INITIAL_TIMEOUT": "50ms",
        }
        async with mesh(**variables) as (stub, proxy):
            stub.default_profile = None
            assert await answers(proxy, f"http://{host}:{port}/") == "one"


async def test_an_address_whose_answer_comes_late_changes_over() -> None:
    async with workload("one") as (host, port), workload("two") as two:
        variables = {
            "DESTINATION_PROFILE_NETWORKS": "127.0.0.0/8",
            "DESTINATION_PROFILE_INITIAL_TIMEOUT": "50ms",
        }
        async with mesh(**variables) as (stub, proxy):
            stub.default_profile = None
            url = f"http://{host}:{port}/"
            assert await answers(proxy, url) == "one"
            stub.endpoints[f"{WEB}:{port}"] = add(two)
            stub.profile_gets[0].send(destination.DestinationProfile(fully_qualified_name=WEB))
            await answered_by(proxy, "two", url=url)
            stub.profile_gets[0].send(destination.DestinationProfile())
            await answered_by(proxy, "one", url=url)


async def test_a_profile_that_never_comes_holds_nothing_up() -> None:
    async with (
        workload("one") as one,
        mesh(DESTINATION_PROFILE_INITIAL_TIMEOUT="50ms") as (stub, proxy),
    ):
        stub.default_profile = None
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"


async def test_a_profile_that_is_refused_holds_nothing_up() -> None:
    async with (
        workload("one") as one,
        mesh(DESTINATION_PROFILE_INITIAL_TIMEOUT="1h") as (
            stub,
            proxy,
        ),
    ):
        stub.profile_refusals[PATH] = grpc.StatusCode.INVALID_ARGUMENT
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"


async def test_names_without_a_profile_suffix_have_no_profile() -> None:
    async with workload("one") as one, mesh(DESTINATION_PROFILE_SUFFIXES="") as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        assert stub.profile_gets == []


async def test_an_opaque_port_connects_before_the_client_speaks() -> None:
    async with greeter() as server, DestinationStub() as stub:
        stub.profiles[PATH] = destination.DestinationProfile(opaque_protocol=True)
        stub.endpoints[PATH] = add(server)
        variables = {"OUTBOUND_STATIC_PORTS": f"127.0.0.1:0={PATH}"}
        async with sidecar(DESTINATION_SVC_ADDR=stub.address, **variables) as proxy:
            assert await talk(proxy.static(), b"") == b"hello\n"


async def test_a_port_that_becomes_opaque_is_treated_so_from_then_on() -> None:
    async with greeter() as server, DestinationStub() as stub:
        stub.endpoints[PATH] = add(server)
        variables = {"OUTBOUND_STATIC_PORTS": f"127.0.0.1:0={PATH}"}
        async with sidecar(DESTINATION_SVC_ADDR=stub.address, **variables) as proxy:
            await eventually_async(lambda: stub.profile_gets)
            (stream,) = stub.profile_gets
            stream.send(destination.DestinationProfile(opaque_protocol=True))
            (target,) = (one for one in proxy.targets("outbound") if one.key == PATH.encode())
            await eventually_async(lambda: target.is_opaque)
            assert await talk(proxy.static(), b"") == b"hello\n"


async def test_ports_that_are_opaque_by_the_environment() -> None:
    async with greeter() as server:
        variables = {"OUTBOUND_STATIC_PORTS": f"127.0.0.1:0={server[0]}:{server[1]}"}
        opaque = {"OUTBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": str(server[1])}
        async with sidecar(**variables, **opaque) as proxy:
            assert await talk(proxy.static(), b"") == b"hello\n"


async def test_addresses_outside_are_forwarded_without_a_question() -> None:
    async with workload("one") as (host, port), mesh() as (stub, proxy):
        assert await answers(proxy, f"http://{host}:{port}/") == "one"
        assert (stub.gets, stub.profile_gets) == ([], [])


@pytest.mark.parametrize("exists", [True, False])
async def test_no_endpoints_fail_fast_and_recover(exists: bool) -> None:
    async with (
        workload("one") as one,
        mesh(OUTBOUND_HTTP_FAILFAST_TIMEOUT="200ms") as (stub, proxy),
    ):
        stub.endpoints[PATH] = no_endpoints(exists=exists)
        assert await answers(proxy) == "504"
        assert await answers(proxy) == "503"
        stub.send(PATH, add(one))
        await answered_by(proxy, "one")


async def test_a_control_plane_that_never_answers_fails_fast() -> None:
    async with mesh(OUTBOUND_HTTP_FAILFAST_TIMEOUT="200ms") as (_, proxy):
        assert await answers(proxy) == "504"


async def test_a_control_plane_that_comes_late_is_found() -> None:
    async with workload("one") as one:
        stub = DestinationStub()
        await stub.start()
        await stub.stop()
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy:
            waiting = spawn(answers(proxy), name="waiting")
            stub.endpoints[PATH] = add(one)
            await stub.start()
            try:
                assert await waiting == "one"
            finally:
                await stub.stop()


async def test_a_static_port_leads_to_its_service() -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(workload("one"))
        stub = await stack.enter_async_context(DestinationStub())
        stub.endpoints[PATH] = add(one)
        proxy = await stack.enter_async_context(
            sidecar(DESTINATION_SVC_ADDR=stub.address, OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={PATH}")
        )
        raw = await talk(
            proxy.static(), b"GET / HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n"
        )
        assert raw.endswith(b"one")
        assert await answers(proxy) == "one"
        assert stub.count(PATH) == 1


async def test_an_idle_target_is_forgotten_and_its_streams_end() -> None:
    async with (
        workload("one") as one,
        mesh(OUTBOUND_DISCOVERY_IDLE_TIMEOUT="100ms") as (stub, proxy),
    ):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        await eventually_async(lambda: not stub.open_gets(PATH))
        await eventually_async(lambda: all(stream.ended.is_set() for stream in stub.profile_gets))
        assert await answers(proxy) == "one"
        assert stub.count(PATH) == 2


async def test_short_names_are_completed() -> None:
    async with workload("one") as one, mesh(DESTINATION_CONTEXT='{"ns":"ns"}') as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        for name in ("web", "web.ns", "web.ns.svc", WEB):
            assert await answers(proxy, f"http://{name}/") == "one"


async def test_a_completed_name_that_the_mesh_does_not_know_is_found_in_dns(tmp_path: Path) -> None:
    async with workload("one") as (host, port):
        with DnsServer({("example.com", A): Rows((host,))}) as dns:
            conf = tmp_path / "resolv.conf"
            conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with mesh(RESOLV_CONF=str(conf), DESTINATION_CONTEXT="ns:mine") as (stub, proxy):
                stub.endpoints[f"example.com.svc.cluster.local:{port}"] = no_endpoints(exists=False)
                assert await answers(proxy, f"http://example.com:{port}/") == "one"
                await stub.stop()
                assert await answers(proxy, f"http://EXAMPLE.com.:{port}/") == "one"
                await stub.start()


async def test_dns_names_are_balanced_over_all_their_addresses(tmp_path: Path) -> None:
    async with workload("one") as (_, port):
        with DnsServer({("db.test", A): Rows(("127.0.0.1",), ttl=1)}) as dns:
            conf = tmp_path / "resolv.conf"
            conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
            async with sidecar(
                RESOLV_CONF=str(conf), DNS_MIN_TTL="20ms", DNS_MAX_TTL="20ms"
            ) as proxy:
                url = f"http://db.test:{port}/"
                assert await answers(proxy, url) == "one"
                dns.zone.clear()
                before = dns.asked("db.test")
                await eventually_async(lambda: dns.asked("db.test") > before + 2)
                assert await answers(proxy, url) == "one"
                metrics = (await proxy.ask_admin("GET", "/metrics")).decode()
    assert 'control_dns_resolutions_total{client="outbound",record_type="A",result="ok"}' in metrics


async def test_a_target_that_is_this_proxy_is_refused() -> None:
    async with sidecar() as proxy:
        host, port = proxy.outbound
        raw = await proxy.get(f"http://{host}:{port}/")
        assert raw.startswith(b"HTTP/1.1 502 ")
        assert b"l5d-proxy-error: " in raw


async def test_endpoints_that_are_this_proxy_are_refused() -> None:
    async with mesh() as (stub, proxy), workload("one") as one:
        stub.endpoints[PATH] = add(proxy.outbound)
        assert await answers(proxy) == "502"
        stub.send(PATH, add(one))
        await answered_by(proxy, "one")


@pytest.mark.parametrize(
    ("authority", "status"), [("0.0.0.0:80", "502"), ("224.0.0.1:80", "502"), ("a..b", "400")]
)
async def test_targets_that_are_none_are_refused(authority: str, status: str) -> None:
    async with sidecar() as proxy:
        assert await answers(proxy, f"http://{authority}/") == status


async def test_bad_addresses_are_skipped_and_counted() -> None:
    async with workload("one") as one, mesh() as (stub, proxy):
        addrs = [weighted("0.0.0.0", 1), weighted(*one), destination.WeightedAddr()]
        stub.endpoints[PATH] = destination.Update(add=destination.WeightedAddrSet(addrs=addrs))
        assert await answers(proxy) == "one"
        metrics = await proxy.ask_admin("GET", "/metrics")
    assert b"control_destination_skipped_addresses_total 2" in metrics


async def test_labels_reach_the_metrics() -> None:
    async with workload("one") as one, mesh() as (stub, proxy):
        stub.endpoints[PATH] = destination.Update(
            add=destination.WeightedAddrSet(
                addrs=[weighted(*one, labels={"pod": "web-0"})], metric_labels={"service": "web"}
            )
        )
        assert await answers(proxy) == "one"
        metrics = (await proxy.ask_admin("GET", "/metrics")).decode()
    (line,) = [
        line
        for line in metrics.splitlines()
        if line.startswith("request_total") and 'direction="outbound"' in line
    ]
    assert f'authority="{PATH}"' in line
    assert 'dst_pod="web-0"' in line
    assert 'dst_service="web"' in line
    assert "control_request_total" in metrics


async def test_streams_have_the_lifetimes_that_are_set() -> None:
    variables = {"CONTROL_STREAM_INITIAL_TIMEOUT": "100ms", "CONTROL_STREAM_IDLE_TIMEOUT": "100ms"}
    async with workload("one") as one, mesh(**variables) as (stub, proxy):
        waiting = spawn(answers(proxy), name="waiting")
        await eventually_async(lambda: stub.count(PATH) >= 2)
        stub.endpoints[PATH] = add(one)
        assert await waiting == "one"
        count = stub.count(PATH)
        await eventually_async(lambda: stub.count(PATH) > count)
        assert await answers(proxy) == "one"


async def test_a_stream_is_renewed_when_its_lifetime_ends() -> None:
    async with workload("one") as one, mesh(CONTROL_STREAM_LIFETIME="200ms") as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        assert await answers(proxy) == "one"
        await eventually_async(lambda: stub.count(PATH) >= 2)
        assert await answers(proxy) == "one"


async def test_it_ends_with_streams_open_and_a_control_plane_that_is_a_name() -> None:
    async with workload("one") as one, DestinationStub() as stub:
        stub.endpoints[PATH] = add(one)
        async with sidecar(DESTINATION_SVC_ADDR=f"localhost:{stub.port}") as proxy:
            assert await answers(proxy) == "one"
        await eventually_async(lambda: not stub.open_gets(PATH))


async def test_a_workload_that_invents_names_is_bounded() -> None:
    async with workload("one") as one, mesh() as (stub, proxy):
        stub.endpoints[PATH] = add(one)
        *_of_the_control_plane, outbound = proxy.proxy.parts.discoveries
        outbound.targets_max = 1
        stub.endpoints["another.ns.svc.cluster.local:80"] = add(one)
        url = "http://another.ns.svc.cluster.local/"
        assert await answers(proxy) == "one"
        # Nobody uses it at the moment, so it makes room.
        assert await answers(proxy, url) == "one"
        assert len(proxy.targets("outbound")) == 1
        stub.endpoints[PATH] = add(*())
        waits = spawn(answers(proxy), name="waits for an endpoint")
        await eventually_async(lambda: stub.open_gets(PATH))
        assert await answers(proxy, url) == "503"
        stub.send(PATH, add(one))
        assert await waits == "one"
        assert [target.key for target in proxy.targets("outbound")] == [PATH.encode()]


async def test_refused_targets_leave_nothing_behind() -> None:
    async with sidecar() as proxy:
        for number in range(1, 20):
            assert await answers(proxy, f"http://0.0.0.0:{number}/") == "502"
            wire = f"GET / HTTP/1.1\r\nhost: name{number}\r\nconnection: close\r\n\r\n"
            assert (await talk(proxy.inbound, wire.encode())).startswith(b"HTTP/1.1 404 ")
        await eventually_async(lambda: not proxy.targets("outbound"))
        await eventually_async(lambda: not proxy.targets("inbound"))


async def test_a_service_of_which_nothing_is_said_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Linkerd's controller says nothing of a service that has no endpoints: no reason to ask again."""
    limits = {"CONTROL_STREAM_INITIAL_TIMEOUT": "50ms", "CONTROL_STREAM_IDLE_TIMEOUT": "1h"}
    async with (
        workload("one") as one,
        mesh(**limits, OUTBOUND_HTTP_FAILFAST_TIMEOUT="300ms") as (stub, proxy),
    ):
        # Which takes six of those limits.
        assert await answers(proxy) == "504"
        assert stub.count(PATH) == 1
        stub.send(PATH, add(one))
        await answered_by(proxy, "one")
        stub.send(PATH, remove(one))

        async def nobody() -> bool:
            return await answers(proxy) in {"503", "504"}

        await eventually_async(nobody)
        assert stub.count(PATH) == 1
    assert not [record for record in caplog.records if "Get " in record.message]
