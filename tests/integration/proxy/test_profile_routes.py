"""The whole proxy counts requests by the routes of profiles that a real gRPC server tells, on both sides."""

import asyncio
import re

import pytest

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import origin, talk
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import DEADLINE_S, eventually_async, within

WEB = "web.ns.svc.cluster.local"
PATH = f"{WEB}:80"


def answer(head: bytes, _: bytes) -> bytes:
    status = b"404 Not Found" if b"/missing" in head else b"200 OK"
    return b"HTTP/1.1 %s\r\ncontent-length: 2\r\n\r\nok" % status


def profile(*routes: tuple[str, str], failing: int = 0) -> destination.DestinationProfile:
    found = destination.DestinationProfile(fully_qualified_name=WEB)
    for name, regex in routes:
        route = found.routes.add()
        route.condition.path.regex = regex
        route.metrics_labels["route"] = name
        if failing:
            one = route.response_classes.add(is_failure=True)
            one.condition.status.min = one.condition.status.max = failing
    return found


def counted(proxy: InProcess, family: str) -> dict[str, int]:
    text = b"".join(proxy.proxy.parts.registry.render()).decode()
    found = re.findall(rf"^{family}{{(.*)}} (\d+)$", text, re.MULTILINE)
    return {labels: int(count) for labels, count in found if count != "0"}


async def get(address: tuple[str, int], path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: {PATH}\r\nConnection: close\r\n\r\n"
    assert b"HTTP/1.1 " in await talk(address, head.encode(), until=b"ok")


async def until_counted(proxy: InProcess, address: tuple[str, int], *, labels: str) -> None:
    """Asks until a table with that route is followed."""
    async with within(DEADLINE_S):
        while labels not in counted(proxy, "route_request_total"):
            await get(address, "/books/1")


async def test_requests_of_the_workload_are_counted_by_route() -> None:
    async with origin(answer) as web, DestinationStub() as stub:
        stub.endpoints[PATH] = add(web.address)
        stub.profiles[PATH] = profile(("books", "/books/[^/]*"), ("gone", "/missing"), failing=404)
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy:
            out = f'direction="outbound",dst="{PATH}"'
            await until_counted(proxy, proxy.outbound, labels=f'{out},rt_route="books"')
            before = counted(proxy, "route_request_total")
            await get(proxy.outbound, "/books/2?x=y")
            await get(proxy.outbound, "/missing")
            await get(proxy.outbound, "/others")
            after = counted(proxy, "route_request_total")
            grown = {labels: after[labels] - before.get(labels, 0) for labels in after}
            assert grown == {out: 1, f'{out},rt_route="books"': 1, f'{out},rt_route="gone"': 1}
            responses = counted(proxy, "route_response_total")
            gone = f'{out},rt_route="gone",status_code="404",classification="failure"'
            assert [labels for labels in responses if labels.startswith(gone)] != []
            # By endpoint, the same responses are of the same class.
            endpoints = counted(proxy, "response_total")
            assert any(
                'status_code="404",classification="failure"' in labels for labels in endpoints
            )
            assert counted(proxy, "route_response_latency_ms_count").keys() == {
                f'{out},status_code="200"',
                f'{out},rt_route="books",status_code="200"',
                f'{out},rt_route="gone",status_code="404"',
            }
            assert counted(proxy, "route_actual_request_total") == after


async def test_failures_are_sent_again_within_their_budget() -> None:
    failing = [b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\nok"] * 3

    def at_first(head: bytes, body: bytes) -> bytes:
        return failing.pop() if failing and b"/books/9" in head else answer(head, body)

    said = profile(("books", "/books/[^/]*"))
    said.routes[0].is_retryable = True
    said.retry_budget.min_retries_per_second = 10
    said.retry_budget.ttl.seconds = 10
    async with origin(at_first) as web, DestinationStub() as stub:
        stub.endpoints[PATH] = add(web.address)
        stub.profiles[PATH] = said
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy:
            labels = f'direction="outbound",dst="{PATH}",rt_route="books"'
            await until_counted(proxy, proxy.outbound, labels=labels)
            asked = counted(proxy, "route_request_total")[labels]
            sent = counted(proxy, "route_actual_request_total")[labels]
            await get(proxy.outbound, "/books/9")
            assert not failing
            assert counted(proxy, "route_request_total")[labels] == asked + 1
            assert counted(proxy, "route_actual_request_total")[labels] == sent + 4
            assert counted(proxy, "route_retryable_total")[labels] == 3
            failed = f'{labels},status_code="500",classification="failure"'
            assert counted(proxy, "route_actual_response_total")[failed] == 3
            assert not [one for one in counted(proxy, "route_response_total") if "500" in one]


async def test_a_response_that_does_not_begin_in_time() -> None:
    said = profile(("slow", "/slow"), ("books", "/books/[^/]*"))
    said.routes[0].timeout.FromMilliseconds(50)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/slow" not in await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer(b"", b""))
            writer.close()
        await reader.read(-1)

    web = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with web, DestinationStub() as stub:
        stub.endpoints[PATH] = add(web.sockets[0].getsockname())
        stub.profiles[PATH] = said
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy:
            labels = f'direction="outbound",dst="{PATH}",rt_route="books"'
            await until_counted(proxy, proxy.outbound, labels=labels)
            head = f"GET /slow HTTP/1.1\r\nHost: {PATH}\r\nConnection: close\r\n\r\n"
            got = await talk(proxy.outbound, head.encode())
            assert got.startswith(b"HTTP/1.1 504 ")
            assert b"response header timeout: 0.05 s" in got


async def test_a_profile_that_changes_replaces_all_routes() -> None:
    async with origin(answer) as web, DestinationStub() as stub:
        stub.endpoints[PATH] = add(web.address)
        stub.profiles[PATH] = profile(("old", "/books/.*"))
        async with sidecar(DESTINATION_SVC_ADDR=stub.address) as proxy:
            out = f'direction="outbound",dst="{PATH}"'
            await until_counted(proxy, proxy.outbound, labels=f'{out},rt_route="old"')
            (stream,) = [one for one in stub.profile_gets if one.path == PATH]
            stream.send(profile(("new", "/books/.*")))
            await until_counted(proxy, proxy.outbound, labels=f'{out},rt_route="new"')
            stream.send(profile())
            target = next(one for one in proxy.targets("outbound") if one.key == PATH.encode())
            await eventually_async(lambda: target.routes is None)


@pytest.mark.parametrize("name", [WEB, "WEB.ns"])
async def test_requests_that_arrive_are_counted_by_the_routes_of_what_they_name(name: str) -> None:
    async with origin(answer) as web, DestinationStub() as stub:
        stub.profiles[PATH] = profile(("books", "/books/.*"))
        host, port = web.address
        settings = {
            "DESTINATION_SVC_ADDR": stub.address,
            "INBOUND_STATIC_PORTS": f"127.0.0.1:0={host}:{port}",
            "INBOUND_IPS": host,
            "DESTINATION_CONTEXT": '{"ns":"ns"}',
        }
        async with sidecar(**settings) as proxy:
            arrived = proxy.static(direction="inbound")
            labels = f'direction="inbound",dst="{PATH}",rt_route="books"'
            async with within(DEADLINE_S):
                while labels not in counted(proxy, "route_request_total"):
                    head = f"GET /books/1 HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
                    await talk(arrived, head.encode(), until=b"ok")
            assert "route_actual_request_total" not in counted(proxy, "route_actual_request_total")
            assert stub.count(PATH) == 0


async def test_names_that_are_not_of_the_mesh_are_not_asked_about() -> None:
    async with origin(answer) as web, DestinationStub() as stub:
        host, port = web.address
        settings = {"DESTINATION_SVC_ADDR": stub.address, "INBOUND_IPS": host}
        settings["INBOUND_STATIC_PORTS"] = f"127.0.0.1:0={host}:{port}"
        async with sidecar(**settings) as proxy:
            arrived = proxy.static(direction="inbound")
            for name in ("example.com", "127.0.0.1", "127.0.0.1:1", "[::1]:1", "a..b:0", "x" * 300):
                head = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
                await talk(arrived, head.encode())
            assert stub.profile_gets == []
            assert counted(proxy, "route_request_total") == {}
