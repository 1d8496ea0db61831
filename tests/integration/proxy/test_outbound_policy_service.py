"""A whole proxy that asks a policy controller, played by the test, about what its workload calls."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.destination_messages import add, no_endpoints
from tests.support.dns_server import A, DnsServer, Rows
from tests.support.origin import origin, talk
from tests.support.outbound_rig import (
    GET,
    OK,
    OUTSIDE,
    SERVICE,
    V2,
    WEB,
    at,
    rig,
)
from tests.support.policy_stub import (
    backend,
    detected,
    opaque,
    opaque_route,
    outbound_route,
    resource,
)
from tests.support.wait import eventually_async


@pytest.mark.parametrize("target", [SERVICE, WEB])
async def test_the_policy_says_whose_endpoints_are_balanced_among(target: str) -> None:
    async with rig(detected(WEB, outbound_route(backend(V2))), target=target) as made:
        assert await made.status() == 200
        assert (len(made.web.heads), len(made.v2.heads)) == (0, 1)
        (stream,) = made.policy.open(target)
        assert stream.workload == '{"ns":"shop","pod":"web-0"}'
        assert made.destination.count(V2) == 1
        await made.follows(WEB)
        made.policy.tell(target, detected(WEB))
        await made.reaches(made.web)


async def test_nothing_goes_anywhere_before_the_policy_is_known() -> None:
    async with rig() as made:
        asking = spawn(made.ask(), name="asking")
        try:

            async def asked() -> bool:
                return bool(made.policy.open(SERVICE)) and bool(made.destination.profile_gets)

            await eventually_async(asked)
            assert not made.destination.gets
            assert not made.web.heads
            made.policy.tell(SERVICE, detected(WEB))
            assert (await asking).startswith(b"HTTP/1.1 200")
        finally:
            await cancel_all([asking])


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED])
@pytest.mark.parametrize("target", [SERVICE, WEB])
async def test_without_a_policy_the_destination_api_says_it_all(
    target: str, code: grpc.StatusCode
) -> None:
    async with rig(code, target=target) as made:
        assert await made.status() == 200
        assert len(made.web.heads) == 1
        assert made.policy.count(target) == 1


async def test_a_controller_that_is_away_is_waited_for() -> None:
    async with rig(grpc.StatusCode.UNAVAILABLE) as made:

        async def asked_again() -> bool:
            return made.policy.count(SERVICE) > 1

        await eventually_async(asked_again)
        made.policy.default_target = detected(WEB)
        await made.becomes(200)


async def test_a_policy_outlives_the_controller() -> None:
    async with rig(detected(WEB)) as made:
        assert await made.status() == 200
        await made.policy.stop()
        assert await made.status() == 200
        made.policy.default_target = detected(WEB, outbound_route(backend(V2)))
        await made.policy.start()
        await made.reaches(made.v2)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION]
)
async def test_who_may_not_ask_does_not_connect(code: grpc.StatusCode) -> None:
    async with rig(code) as made:
        assert await made.status() == 0
        assert made.policy.count(SERVICE) == 1
        assert not made.destination.gets


async def test_a_policy_that_cannot_be_used_refuses_until_the_next_one() -> None:
    async with rig(outbound.OutboundPolicy()) as made:
        assert await made.status() == 500
        made.policy.tell(SERVICE, detected(WEB))
        await made.becomes(200)
        made.policy.tell(SERVICE, outbound.OutboundPolicy())
        await made.becomes(500)
        made.policy.tell(SERVICE, detected(WEB))
        await made.becomes(200)


@pytest.mark.parametrize("target", [SERVICE, OUTSIDE])
async def test_what_is_forbidden_is_refused(target: str) -> None:
    forbidden = opaque(WEB, opaque_route(name="undefined-port", forbidden=True))
    async with rig(forbidden, target=target) as made:
        assert await made.status() == 0
        assert not made.destination.gets


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED])
async def test_what_was_forbidden_stays_so_when_the_controller_no_longer_knows_the_target(
    code: grpc.StatusCode,
) -> None:
    async with rig(detected(WEB, outbound_route(backend(WEB), failure="no"))) as made:
        await made.becomes(500)
        made.policy.tell(SERVICE, code)

        async def asked_again() -> bool:
            return made.policy.count(SERVICE) > 2

        await eventually_async(asked_again)
        assert await made.status() == 500
        made.policy.tell(SERVICE, detected(WEB))
        await made.becomes(200)


async def test_a_backend_that_fails_does_so_with_its_words() -> None:
    missing = outbound_route(backend(V2), failure="Service not found missing")
    async with rig(detected(WEB, missing)) as made:
        got = await made.ask()
        assert got.startswith(b"HTTP/1.1 500")
        assert b"l5d-proxy-error: Service not found missing" in got
        assert not made.web.heads
        # What is no HTTP has another route.
        got = await talk(made.proxy.static(), b"\x00 no HTTP at all\r\n\r\n", until=b"ok")
        assert got == OK


async def test_a_backend_may_be_one_address() -> None:
    async with rig(target=OUTSIDE) as made:
        made.policy.tell(OUTSIDE, detected(WEB, outbound_route(backend(made.v2.address))))
        assert await made.status() == 200
        await made.follows(WEB)
        assert {one.path for one in made.destination.gets} == {WEB}
        made.policy.tell(OUTSIDE, detected(WEB, outbound_route(backend(made.web.address))))
        await made.reaches(made.web)


async def test_what_is_refused_and_then_allowed_goes_where_it_went() -> None:
    async with rig(target=OUTSIDE) as made:
        there = outbound_route(backend(made.v2.address))
        made.policy.tell(OUTSIDE, detected(WEB, there))
        await made.becomes(200)
        made.policy.tell(OUTSIDE, detected(WEB, outbound_route(backend(V2), failure="no")))
        await made.becomes(500)
        made.policy.tell(OUTSIDE, detected(WEB, there))
        await made.becomes(200)


@pytest.mark.parametrize("target", [SERVICE, WEB])
async def test_each_request_follows_the_route_that_means_it(target: str) -> None:
    canary = outbound_route(backend(V2), name="canary", path="/v2")
    gone = outbound_route(backend(None), name="gone", path="/gone")
    rest = outbound_route(backend(WEB), name="rest", path="/web")
    async with rig(detected(WEB, canary, gone, rest), target=target) as made:
        for path in ("/v2", "/web", "/v2/a", "/web?a"):
            assert (await made.ask(at(path))).startswith(b"HTTP/1.1 200 ")
        lines = [[one.split(b"\r\n")[0] for one in seen.heads] for seen in (made.web, made.v2)]
        assert lines == [
            [b"GET /web HTTP/1.1", b"GET /web?a HTTP/1.1"],
            [b"GET /v2 HTTP/1.1", b"GET /v2/a HTTP/1.1"],
        ]
        assert (await made.ask(at("/gone"))).startswith(b"HTTP/1.1 500 ")
        for path in ("/", "/v22", "/webb"):
            got = await made.ask(at(path))
            assert got.startswith(b"HTTP/1.1 404 ")
            assert b"l5d-proxy-error: no route matches\r\n" in got


async def test_requests_are_spread_by_weight() -> None:
    split = outbound_route(backend(V2), backend(WEB))
    split.rules[0].backends.random_available.backends[0].weight = 3
    async with rig(detected(WEB, split)) as made:
        for _ in range(40):
            assert await made.status() == 200
        assert len(made.web.heads) + len(made.v2.heads) == 40
        assert 0 < len(made.web.heads) < len(made.v2.heads)


async def test_http2_may_have_routes_of_its_own() -> None:
    made_of = detected(WEB, outbound_route(backend(WEB)))
    del made_of.protocol.detect.http2.routes[:]
    made_of.protocol.detect.http2.routes.append(
        outbound_route(backend(V2), failure="not over HTTP/2")
    )
    async with rig(made_of) as made:
        assert await made.status() == 200
        address = "{}:{}".format(*made.proxy.static())
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary("/a.B/C")(b"")
        assert refused.value.details() == "not over HTTP/2"


async def test_what_no_route_leads_to_any_more_is_let_go_of() -> None:
    canary = outbound_route(backend(V2), name="canary", path="/v2")
    rest = outbound_route(backend(WEB), name="rest")
    async with rig(detected(WEB, canary, rest)) as made:
        assert (await made.ask(at("/v2"))).startswith(b"HTTP/1.1 200 ")
        assert made.destination.open_gets(V2)
        made.policy.tell(SERVICE, detected(WEB))

        async def ended() -> bool:
            return not made.destination.open_gets(V2)

        await eventually_async(ended)
        assert (await made.ask(at("/v2"))).startswith(b"HTTP/1.1 200 ")
        assert len(made.v2.heads) == 1


async def test_routes_change_under_load_without_a_wrong_answer() -> None:
    """Each policy leads /a and /b to the same of the two, one after the other; none leads them apart. So
    whoever asks for both at once while a policy holds never sees what only half of one says: that is a 404.
    """

    def policy(path: str) -> outbound.OutboundPolicy:
        routes = [outbound_route(backend(path), name=one[1:], path=one) for one in ("/a", "/b")]
        return detected(WEB, *routes)

    async with rig(policy(WEB)) as made:
        stop = asyncio.Event()
        answers: list[bytes] = []

        async def load(path: str) -> None:
            while not stop.is_set():
                answers.append((await made.ask(at(path)))[:12])

        tasks = [spawn(load(path), name=path) for path in ("/a", "/b", "/a", "/b")]
        try:
            for number in range(12):
                to = made.web if number % 2 else made.v2
                made.policy.tell(SERVICE, policy(WEB if number % 2 else V2))
                await made.reached(to)
        finally:
            stop.set()
            await asyncio.gather(*tasks)
        assert set(answers) == {b"HTTP/1.1 200"}


async def test_a_pattern_that_cannot_be_compiled_refuses_all() -> None:
    wrong = outbound_route(backend(WEB))
    wrong.rules[0].matches[0].path.regex = "/(a"
    async with rig(detected(WEB, wrong)) as made:
        assert await made.status() == 500
        made.policy.tell(SERVICE, detected(WEB))
        await made.becomes(200)


async def test_routes_of_a_profile_come_first() -> None:
    """They are counted; policy's are not looked at."""
    async with rig(detected(WEB, outbound_route(backend(V2), path="/v2"))) as made:
        await made.becomes(404)
        route = made.destination.profiles[SERVICE].routes.add()
        route.condition.path.regex = "/"
        route.metrics_labels["route"] = "root"
        made.tell_profile()
        await made.becomes(200)
        assert made.web.heads
        assert b'rt_route="root"' in await made.proxy.ask_admin("GET", "/metrics")
        del made.destination.profiles[SERVICE].routes[:]
        made.tell_profile()
        await made.becomes(404)


@pytest.mark.parametrize("by", ["policy", "profile"])
async def test_opaque_bytes_are_not_looked_at(by: str) -> None:
    async with rig() as made:
        made.destination.profiles[SERVICE].opaque_protocol = by == "profile"
        made.policy.tell(SERVICE, opaque(WEB) if by == "policy" else detected(WEB))
        got = await talk(made.proxy.static(), GET, until=b"ok")
        assert got.startswith(b"HTTP/1.1 200")
        assert [target.is_opaque for target in made.proxy.targets("outbound")] == [True]
        # Nothing of ours was added.
        assert b"l5d" not in made.web.heads[0].lower()


NO_HTTP = b"\x00 no HTTP at all, and long enough to say so\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)


@pytest.mark.parametrize("wire", [NO_HTTP, HELLO])
async def test_what_is_no_http_is_reset_where_only_http_is_allowed(wire: bytes) -> None:
    only = detected(WEB, opaque=opaque_route(name="deny", forbidden=True))
    async with rig(only) as made:
        assert await made.status() == 200
        assert await talk(made.proxy.static(), wire) == b""
        assert len(made.web.heads) == 1
        text = await made.proxy.ask_admin("GET", "/metrics")
        closed = series(text, "outbound_tcp_route_close_total")
        (found,) = [one for one in closed if 'error="forbidden"' in one]
        assert closed[found] == 1


async def test_targets_of_this_machine_are_nobody_elses_business() -> None:
    async with rig(grpc.StatusCode.INVALID_ARGUMENT) as made, origin(lambda _h, _b: OK) as own:
        host, port = own.address
        got = await made.proxy.get(f"http://{host}:{port}/")
        assert got.startswith(b"HTTP/1.1 200")
        assert made.policy.count(f"{host}:{port}") == 0


@pytest.mark.parametrize("name", ["outside.test", "a.name.outside.test"])
async def test_who_names_an_address_gets_no_further_than_to_the_address(
    name: str, tmp_path: Path
) -> None:
    route = outbound_route(backend(WEB), failure="egress is denied")
    forbidden = detected(WEB, route, opaque=opaque_route(forbidden=True))
    resolv_conf = tmp_path / "resolv.conf"
    with DnsServer({(name, A): Rows(("203.0.113.9", "203.0.113.10"))}) as dns:
        resolv_conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
        async with rig(RESOLV_CONF=str(resolv_conf)) as made:
            made.policy.targets[f"{name}.svc.cluster.local:80"] = grpc.StatusCode.NOT_FOUND
            made.policy.targets["203.0.113.9:80"] = forbidden
            made.policy.targets["203.0.113.10:80"] = forbidden

            async def refused() -> bool:
                got = await made.proxy.get(f"http://{name}/")
                return got.startswith(b"HTTP/1.1 500") and b"egress is denied" in got

            await eventually_async(refused)
            tunnel = f"CONNECT {name}:80 HTTP/1.1\r\nHost: {name}:80\r\n\r\n".encode()
            got = await talk(made.proxy.outbound, tunnel, until=b"denied")
            assert got.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize(
    "said",
    [
        no_endpoints(exists=False),
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
    ],
)
async def test_a_name_that_looks_like_a_service_s_and_is_none_is_found_in_dns(
    said: Any, tmp_path: Path
) -> None:
    """Policy has an answer for every name of that form, whether there is such a service or not."""
    resolv_conf = tmp_path / "resolv.conf"
    with DnsServer({("example.test", A): Rows(("127.0.0.1",))}) as dns:
        resolv_conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
        async with rig(RESOLV_CONF=str(resolv_conf), DESTINATION_CONTEXT='{"ns":"mine"}') as made:
            port = made.web.address[1]
            completed = f"example.test.svc.cluster.local:{port}"
            made.policy.targets[completed] = detected(completed)
            if isinstance(said, grpc.StatusCode):
                made.destination.refusals[completed] = said
            else:
                made.destination.endpoints[completed] = said
            got = await made.proxy.get(f"http://example.test:{port}/")
            assert got.startswith(b"HTTP/1.1 200")
            if said is grpc.StatusCode.INVALID_ARGUMENT:
                # Nobody asks again.
                return
            # The service has come, and its endpoints are what is meant from now on.
            made.destination.refusals.clear()
            made.destination.endpoints[completed] = add(made.v2.address)
            for stream in made.destination.gets:
                if stream.path == completed:
                    stream.send(add(made.v2.address))

            async def of_v2() -> bool:
                await made.proxy.get(f"http://example.test:{port}/")
                return bool(made.v2.heads)

            await eventually_async(of_v2)


async def test_a_name_leads_to_those_of_its_addresses_that_policy_lets_traffic_go_to(
    tmp_path: Path,
) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    with DnsServer({("a.name.outside.test", A): Rows(("127.0.0.1", "203.0.113.9"))}) as dns:
        resolv_conf.write_text(f"nameserver [{dns.address[0]}]:{dns.address[1]}\n")
        async with rig(RESOLV_CONF=str(resolv_conf)) as made:
            port = made.web.address[1]
            only = opaque_route(name="deny", forbidden=True)
            made.policy.targets[f"203.0.113.9:{port}"] = opaque(WEB, only)
            url = f"http://a.name.outside.test:{port}/"
            assert (await made.proxy.get(url)).startswith(b"HTTP/1.1 200")
            (target,) = [one for one in made.proxy.targets("outbound") if b"outside" in one.key]

            async def known() -> bool:
                return made.policy.count(f"203.0.113.9:{port}") == 1

            await eventually_async(known)
            places = [one["address"] for one in target.endpoints_state()]
            assert places == [f"127.0.0.1:{port}"]


async def test_streams_end_with_their_target() -> None:
    async with rig(detected(WEB), OUTBOUND_DISCOVERY_IDLE_TIMEOUT="50ms") as made:
        got = await made.proxy.get(f"http://{V2}/")
        assert got.startswith(b"HTTP/1.1 200")

        async def ended() -> bool:
            return not made.policy.open(V2) and bool(made.policy.count(V2))

        await eventually_async(ended)
        await asyncio.sleep(0)
        # That of the static port stays.
        assert made.policy.open(SERVICE)


def series(text: bytes, family: str) -> dict[str, float]:
    """By what is in braces."""
    found = {}
    for line in text.decode().splitlines():
        if line.startswith(family + "{"):
            labels, _, value = line.removeprefix(family + "{").rpartition("} ")
            found[labels] = float(value)
    return found


async def test_fields_of_requests_and_responses_are_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    route = outbound_route(backend(V2))
    rule = route.rules[0]
    request = rule.filters.add().request_header_modifier
    request.add.headers.add(name="X-Added", value=b"rule")
    request.set.headers.add(name="User-Agent", value=b"set")
    request.remove.append("x-secret")
    request.set.headers.add(name="host", value=b"elsewhere")
    response = rule.filters.add().response_header_modifier
    response.set.headers.add(name="x-route", value=b"canary")
    of_backend = rule.backends.random_available.backends[0].backend.filters.add()
    of_backend.request_header_modifier.add.headers.add(name="x-added", value=b"backend")
    async with rig(detected(WEB, route)) as made:
        got = await made.ask(
            GET.replace(b"\r\n\r\n", b"\r\nX-Secret: 1\r\nuser-agent: curl\r\n\r\n")
        )
        assert b"\r\nx-route: canary\r\n" in got
        (head,) = made.v2.heads
        assert b"x-secret" not in head.lower()
        assert b"curl" not in head
        assert b"\r\nuser-agent: set\r\n" in head
        assert head.index(b"x-added: rule\r\n") < head.index(b"x-added: backend\r\n")
        assert b"elsewhere" not in head
    assert "host is not a route's to change" in caplog.text


async def test_requests_are_counted_by_route_and_backend() -> None:
    canary = outbound_route(backend(V2), name="canary", path="/v2")
    canary.metadata.CopyFrom(resource("HTTPRoute", "canary", group="gateway.networking.k8s.io"))
    gone = outbound_route(backend(None), name="gone", path="/gone", failure="no such service")
    async with rig(detected(WEB, canary, gone, outbound_route(backend(WEB)))) as made:
        for path, times in (("/v2", 3), ("/gone", 2), ("/else", 1)):
            for _ in range(times):
                await made.ask(at(path))
        text = b"".join(made.proxy.proxy.parts.registry.render())
    parent = (
        'parent_group="core",parent_kind="Service",parent_namespace="shop",parent_name="web",'
        'parent_port="80",parent_section_name=""'
    )
    of_canary = (
        f'{parent},route_group="gateway.networking.k8s.io",route_kind="HTTPRoute",'
        'route_namespace="shop",route_name="canary"'
    )
    default = f'{parent},route_group="",route_kind="default",route_namespace="",route_name='
    to_v2 = (
        'backend_group="core",backend_kind="Service",backend_namespace="shop",backend_name="v2",'
        'backend_port="80",backend_section_name=""'
    )
    assert series(text, "outbound_http_route_request_statuses_total") == {
        f'{of_canary},http_status="200",error=""': 3,
        f'{default}"gone",http_status="500",error=""': 2,
        f'{default}"http",http_status="200",error=""': 1,
    }
    requests = series(text, "outbound_http_route_backend_requests_total")
    assert requests[f"{of_canary},{to_v2}"] == 3
    assert sorted(requests.values()) == [1, 2, 3]
    statuses = series(text, "outbound_http_route_backend_response_statuses_total")
    assert statuses[f'{of_canary},{to_v2},http_status="200",error=""'] == 3
    durations = series(text, "outbound_http_route_request_duration_seconds_count")
    assert durations[of_canary] == 3
    responses = series(text, "outbound_http_route_backend_response_duration_seconds_count")
    assert responses[f"{of_canary},{to_v2}"] == 3


async def test_requests_are_sent_again_and_timed_as_the_policy_says() -> None:
    route = outbound_route(backend(V2))
    rule = route.rules[0]
    rule.retry.max_retries = 3
    rule.retry.conditions.status_ranges.add(start=503, end=503)
    rule.retry.max_request_bytes = 65_536
    rule.timeouts.request.seconds = 3600
    failing = b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
    left: list[bytes] = []
    async with rig(
        detected(WEB, route), of_v2=lambda _head, _body: left.pop() if left else OK
    ) as made:
        await made.reaches(made.v2)
        left += [failing] * 2
        before = len(made.v2.heads)
        assert await made.status() == 200
        assert len(made.v2.heads) == before + 3
        text = b"".join(made.proxy.proxy.parts.registry.render()).decode()
        retried = [one for one in text.splitlines() if "route_retry_requests_total{" in one]
        assert len(retried) == 1
        assert retried[0].endswith(" 2")
        assert 'route_name="' in retried[0]
        # A change reaches requests that come after it.
        left += [failing] * 1000
        rule.retry.max_retries = 0
        made.policy.tell(SERVICE, detected(WEB, route))

        async def sent_once() -> bool:
            before = len(made.v2.heads)
            return await made.status() == 503 and len(made.v2.heads) == before + 1

        await eventually_async(sent_once)
