"""Filters of outbound routes in a whole proxy: redirects, failures of some, and what they must not do."""

from typing import Any
from urllib.parse import unquote

import grpc
import pytest

from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support import gateway_redirects, http2_script
from tests.support.destination_messages import add
from tests.support.gateway_policy import of_rules
from tests.support.origin import Origin
from tests.support.outbound_rig import V2, WEB, Rig, at, rig
from tests.support.policy_stub import backend, detected, outbound_route, resource, service_of
from tests.support.wait import eventually_async

HTTP1, HTTP2 = "HTTP/1", "HTTP/2"


async def asked(made: Rig, protocol: str, *, host: str, path: str) -> tuple[int, str]:
    """The status, and where it leads."""
    if protocol == HTTP2:
        fields = [
            (":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path),
        ]  # fmt: skip
        (outcome,) = await http2_script.ask(made.proxy.static(), (fields, b""))
        assert ("l5d-proxy-error" in outcome.fields) == (int(outcome.status) >= 400)
        return int(outcome.status), outcome.fields.get("location", "")
    wire = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    head, _, body = (await made.ask(wire.encode())).partition(b"\r\n\r\n")
    assert body in {b"", b"ok"}
    status = int(head.split()[1])
    assert (b"l5d-proxy-error" in head) == (status >= 400)
    return status, field(head, b"location").decode()


def requests(seen: Origin) -> list[bytes]:
    """Their heads, without a preface of HTTP/2, which these origins do not speak."""
    return [head for head in seen.heads if head.startswith(b"GET ")]


def field(head: bytes, name: bytes) -> bytes:
    """Its one value; empty where there is none."""
    found = [one for one in head.split(b"\r\n")[1:] if one.lower().startswith(name + b":")]
    assert len(found) < 2
    return found[0].partition(b": ")[2] if found else b""


@pytest.mark.parametrize("protocol", [HTTP1, HTTP2])
async def test_redirects_are_those_of_the_gateway_api(protocol: str) -> None:
    cases = gateway_redirects.CASES
    async with rig(of_rules(*(one.rule for one in cases))) as made:
        found = [await asked(made, protocol, host=one.host, path=one.path) for one in cases]
        assert found == [(one.status, one.location) for one in cases]
        # What no rule means is not redirected, and what is leads nowhere near a server.
        assert await asked(made, protocol, host="echo", path="/else") == (404, "")
        assert not made.web.heads
        assert not made.v2.heads


def redirecting(**redirect: Any) -> outbound.OutboundPolicy:
    """All requests."""
    return of_rules(
        {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]},
    )


@pytest.mark.parametrize("protocol", [HTTP1, HTTP2])
async def test_a_redirect_to_where_a_request_goes_is_none(protocol: str) -> None:
    async with rig(redirecting(scheme="http", port=80)) as made:
        assert await asked(made, protocol, host="web", path="/a") == (200, "")
        assert await asked(made, protocol, host="web:80", path="/a") == (200, "")
        assert await asked(made, protocol, host="web:81", path="/a") == (302, "http://web/a")
        assert len(requests(made.web)) == 2


async def test_a_redirected_request_leaves_its_connection_in_step() -> None:
    """Its body is not taken for a request."""
    async with rig(redirecting(hostname="example.org")) as made:
        inner = b"GET /inner HTTP/1.1\r\nHost: web\r\n\r\n"
        first = b"POST /first HTTP/1.1\r\nHost: web\r\nContent-Length: %d\r\n\r\n" % len(inner)
        last = b"GET /last HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
        got = await made.ask(first + inner + last)
        heads = got.split(b"\r\n\r\n")
        assert heads.pop() == b""
        assert [field(one, b"location") for one in heads] == [
            b"http://example.org/first",
            b"http://example.org/last",
        ]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//evil.test/a", "http://web:8083//evil.test/a"),
        ("/\\evil.test", "http://web:8083/\\evil.test"),
        ("/%0d%0aset-cookie:%20a=b", "http://web:8083/%0d%0aset-cookie:%20a=b"),
        ("/a?b=http://evil.test", "http://web:8083/a?b=http://evil.test"),
        ("/@evil.test", "http://web:8083/@evil.test"),
        ("/\u00e4", "http://web:8083/%C3%A4"),
    ],
)
async def test_nobody_but_the_route_says_where_a_redirect_leads(path: str, location: str) -> None:
    async with rig(redirecting(port=8083)) as made:
        assert await asked(made, HTTP1, host="web", path=path) == (302, location)


@pytest.mark.parametrize("host", ["web\tx", "user@evil.test", "evil.test/", "a,b", "[::1", "web:x"])
async def test_a_host_that_is_none_is_told_to_nobody(host: str) -> None:
    async with rig(redirecting(port=8083)) as made:
        wire = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        got = await made.ask(wire.encode())
        assert got.startswith(b"HTTP/1.1 400 ")
        assert b"location" not in got.lower()


async def test_a_request_without_a_host_can_be_sent_to_one() -> None:
    async with rig(redirecting(hostname="example.org")) as made:
        got = await made.ask(b"GET /a HTTP/1.0\r\n\r\n")
        assert field(got, b"location") == b"http://example.org/a"
    async with rig(redirecting(port=8083)) as made:
        got = await made.ask(b"GET /a HTTP/1.0\r\n\r\n")
        assert got.split()[1] == b"400"
        assert b"l5d-proxy-error: the request names no host, and is redirected\r\n" in got


async def test_a_call_of_grpc_is_told_that_nothing_is_there() -> None:
    async with rig(redirecting(hostname="example.org")) as made:
        address = "{}:{}".format(*made.proxy.static())
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary("/a.B/C")(b"")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert refused.value.details() == "redirected"


CODES: list[tuple[int, int]] = [(0, 0), (3, 3), (9, 9), (14, 14), (16, 16), (17, 2), (500, 2)]
"""What is injected, and what a client gets of it."""


CALL = [
    (":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", "/a.B/C"),
    ("content-type", "application/grpc"), ("te", "trailers"),
]  # fmt: skip


def failing_calls(code: int, message: str) -> outbound.OutboundPolicy:
    made = outbound.OutboundPolicy(metadata=service_of(WEB))
    route = made.protocol.grpc.routes.add()
    route.metadata.CopyFrom(resource("GRPCRoute", "calls", group="gateway.networking.k8s.io"))
    rule = route.rules.add()
    rule.backends.first_available.backends.add().backend.CopyFrom(backend(WEB))
    injector = rule.filters.add().failure_injector
    injector.code, injector.message = code, message
    return made


@pytest.mark.parametrize(("code", "told"), CODES)
@pytest.mark.parametrize("message", ["not today", "100% of \u00e4ll: %41\n"])
async def test_calls_fail_with_the_code_and_the_message_of_their_route(
    code: int, told: int, message: str
) -> None:
    async with rig(failing_calls(code, message)) as made:
        (outcome,) = await http2_script.ask(made.proxy.static(), (CALL, b""))
        assert outcome.status == "200"
        assert outcome.fields["grpc-status"] == str(told)
        assert unquote(outcome.fields["grpc-message"]) == message
        assert not [head for head in made.web.heads if b"a.B" in head]
        text = b"".join(made.proxy.proxy.parts.registry.render()).decode()
        word = grpc_word(told)
        assert f'route_name="calls",grpc_status="{word}",error=""}} 1' in text


RETRIED = "outbound_grpc_route_retry_requests_total"


def grpc_word(code: int) -> str:
    return next(one.name for one in grpc.StatusCode if one.value[0] == code)


async def test_a_call_that_fails_on_purpose_is_retried_by_its_very_code() -> None:
    policy = failing_calls(8, "enough")
    rule = policy.protocol.grpc.routes[0].rules[0]
    rule.retry.max_retries, rule.retry.max_request_bytes = 2, 65536
    rule.retry.conditions.resource_exhausted = True
    async with rig(policy) as made:

        async def again() -> bool:
            """There is no other try before an endpoint is ready, nor of what has not come whole."""
            (outcome,) = await http2_script.ask(made.proxy.static(), (CALL, b""))
            assert outcome.fields["grpc-status"] == "8"
            assert outcome.fields["grpc-message"] == "enough"
            text = b"".join(made.proxy.proxy.parts.registry.render()).decode()
            return f"{RETRIED}{{" in text and text.partition(f"{RETRIED}{{")[2].split()[1] == "2"

        await eventually_async(again)


async def test_a_redirect_is_counted_as_an_answer_of_its_route() -> None:
    async with rig(redirecting(hostname="example.org")) as made:
        for _ in range(3):
            await made.ask(at("/a"))
        text = b"".join(made.proxy.proxy.parts.registry.render()).decode()
    (statuses,) = [
        one
        for one in text.splitlines()
        if one.startswith("outbound_http_route_request_statuses_total{")
    ]
    assert 'route_name="route",http_status="302",error=""} 3' in statuses
    assert "outbound_http_errors_total{" not in text
    (responses,) = [one for one in text.splitlines() if one.startswith("response_total{")]
    assert 'status_code="302"' in responses
    assert 'classification="success"' in responses


async def test_no_beginning_is_replaced_where_none_is_meant() -> None:
    """That rule fails, as in Linkerd, and no other."""
    whole = outbound_route(backend(WEB), name="whole")
    whole.rules[0].matches[0].path.exact = "/whole"
    whole.rules[0].filters.add().redirect.path.prefix = "/new"
    async with rig(detected(WEB, whole, outbound_route(backend(WEB), name="rest"))) as made:
        got = await made.ask(at("/whole"))
        assert got.startswith(b"HTTP/1.1 500 ")
        assert b"l5d-proxy-error: a beginning is to be replaced" in got
        assert (await made.ask(at("/whole/a"))).endswith(b"ok")


async def test_each_condition_of_a_rule_has_its_beginning() -> None:
    route = outbound_route(backend(WEB))
    rule = route.rules[0]
    rule.matches[0].path.prefix = "/a"
    rule.matches.add().path.prefix = "/longer/one"
    rule.filters.add().redirect.path.prefix = "/new"
    async with rig(detected(WEB, route)) as made:
        for path, location in (("/a/x", "/new/x"), ("/longer/one/x", "/new/x")):
            assert await asked(made, HTTP1, host="web", path=path) == (301, "http://web" + location)


async def test_a_backend_may_redirect_what_comes_to_it() -> None:
    route = outbound_route(backend(V2), backend(WEB))
    weighted = route.rules[0].backends.random_available.backends
    weighted[0].backend.filters.add().redirect.host = "v2.example.org"
    async with rig(detected(WEB, route)) as made:
        found = {await asked(made, HTTP1, host="web", path="/a") for _ in range(40)}
        assert found == {(200, ""), (301, "http://v2.example.org/a")}
        assert not made.v2.heads


async def test_a_share_of_what_comes_to_one_backend_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    route = outbound_route(backend(V2), backend(WEB))
    injector = route.rules[0].backends.random_available.backends[0].backend.filters.add()
    injector.failure_injector.status, injector.failure_injector.message = 503, "v2 is tired"
    injector.failure_injector.ratio.numerator, injector.failure_injector.ratio.denominator = 1, 2
    async with rig(detected(WEB, route)) as made:
        answers = [await made.ask() for _ in range(120)]
        failed = [one for one in answers if one.startswith(b"HTTP/1.1 503 ")]
        assert all(b"l5d-proxy-error: v2 is tired\r\n" in one for one in failed)
        reached = len(made.web.heads), len(made.v2.heads)
        assert sum(reached) + len(failed) == 120
        # Six standard deviations of a half and of two quarters.
        assert 27 < reached[0] < 93
        assert 1 < reached[1] < 59
        assert 1 < len(failed) < 59
    assert "not done yet" not in caplog.text


@pytest.mark.parametrize(
    "spoil",
    ["scheme", "host", "port", "status", "full", "prefix", "nothing of a scheme"],
)
async def test_a_redirect_that_cannot_be_is_a_policy_that_cannot_be_used(spoil: str) -> None:
    route = outbound_route(backend(WEB))
    redirect = route.rules[0].filters.add().redirect
    redirect.host = "example.org"
    if spoil == "scheme":
        redirect.scheme.unregistered = "javascript"
    elif spoil == "host":
        redirect.host = "example.org\r\nset-cookie: a=b"
    elif spoil == "port":
        redirect.port = 70_000
    elif spoil == "status":
        redirect.status = 200
    elif spoil == "full":
        redirect.path.full = "/a\r\nset-cookie: a=b"
    elif spoil == "prefix":
        redirect.path.prefix = "a"
    else:
        redirect.scheme.SetInParent()
    async with rig(detected(WEB, route)) as made:
        got = await made.ask()
        assert got.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in got


# httproute-rewrite-path and httproute-rewrite-host of the Gateway API, derived anew.
MODIFIED = {
    "type": "RequestHeaderModifier",
    "requestHeaderModifier": {
        "set": [{"name": "X-Header-Set", "value": "set-overwrites-values"}],
        "add": [
            {"name": "X-Header-Add", "value": "header-val-1"},
            {"name": "X-Header-Add-Append", "value": "header-val-2"},
        ],
        "remove": ["X-Header-Remove"],
    },
}
PREFIX, FULL = gateway_redirects.prefix, gateway_redirects.full
# What is meant, what is made of it, what is asked for, and what for then.
REWRITES: list[tuple[str, dict[str, Any], str, str]] = [
    ("/prefix/one", {"path": PREFIX("/one")}, "/prefix/one/two", "echo/one/two"),
    ("/strip-prefix", {"path": PREFIX("/")}, "/strip-prefix/three", "echo/three"),
    ("/strip-prefix", {"path": PREFIX("/")}, "/strip-prefix", "echo/"),
    ("/nothing", {"path": PREFIX("")}, "/nothing?a=/b", "echo/?a=/b"),
    ("/full/one", {"path": FULL("/one")}, "/full/one/two", "echo/one"),
    ("/full/two", {"path": FULL("/two")}, "/full/two?a=b", "echo/two?a=b"),
    ("/host/one", {"hostname": "one.example.org"}, "/host/one?a", "one.example.org/host/one?a"),
    (
        "/both",
        {"hostname": "example.org", "path": PREFIX("/new")},
        "/both/a?b",
        "example.org/new/a?b",
    ),
]


def rewriting(prefix: str, rewrite: dict[str, Any]) -> dict[str, Any]:
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
        "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}, MODIFIED],
        "backendRefs": [{"name": "v2", "port": 80}],
    }


@pytest.mark.parametrize("protocol", [HTTP1, HTTP2])
async def test_rewrites_are_those_of_the_gateway_api(protocol: str) -> None:
    rules = {prefix: rewriting(prefix, made) for prefix, made, _, _ in REWRITES}
    async with rig(of_rules(*rules.values())) as made:
        for _, _, path, _ in REWRITES:
            fields = [("x-header-remove", "1"), ("x-header-set", "1"), ("x-header-add-append", "1")]
            if protocol == HTTP1:
                lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
                wire = f"GET {path} HTTP/1.1\r\nHost: echo\r\n{lines}Connection: close\r\n\r\n"
                assert (await made.ask(wire.encode())).endswith(b"ok")
                continue
            head = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "echo"),
                (":path", path),
            ]
            (outcome,) = await http2_script.ask(made.proxy.static(), ([*head, *fields], b""))
            assert outcome.body == b"ok"
        heads = requests(made.v2)
        assert [arrived(head) for head in heads] == [there for _, _, _, there in REWRITES]
        for head in heads:
            assert field(head, b"x-header-set") == b"set-overwrites-values"
            assert field(head, b"x-header-add") == b"header-val-1"
            assert head.lower().count(b"x-header-add-append: ") == 2
            assert b"x-header-remove" not in head.lower()
        assert not made.web.heads


def arrived(head: bytes) -> str:
    """What a server was asked for."""
    line = head.split(b"\r\n")[0]
    method, path, version = line.split(b" ")
    assert (method, version) == (b"GET", b"HTTP/1.1")
    return (field(head, b"host") + path).decode()


async def test_a_server_of_http2_is_asked_for_what_the_route_says() -> None:
    asked_for: list[dict[str, str]] = []

    async def serve(link: http2_script.Link, _number: int) -> None:
        link.send(http2_script.settings())
        async for frame in link.frames():
            if frame.kind == http2_script.HEADERS:
                asked_for.append(dict(link.decoder.decode(frame.payload)))
                link.answer(frame.stream)

    rewrite = {"hostname": "example.org", "path": PREFIX("/new")}
    async with (
        http2_script.scripted(serve) as server,
        rig(of_rules(rewriting("/a", rewrite))) as made,
    ):
        made.destination.endpoints[V2] = add(server.address)
        assert await asked(made, HTTP2, host="echo", path="/a/b?c") == (200, "")
    (found,) = asked_for
    assert (found[":authority"], found[":path"]) == ("example.org", "/new/b?c")
    assert "host" not in found


async def test_a_request_with_a_whole_url_is_rewritten() -> None:
    """And what is sent names one host."""
    rule = rewriting("/", {"hostname": "example.org", "path": FULL("/new")})
    async with rig(of_rules(rule)) as made:
        got = await made.ask(
            at("/a").replace(b"GET /", b"GET http://web/").replace(b": web", b": x")
        )
        assert got.endswith(b"ok")
        assert [arrived(head) for head in made.v2.heads] == ["example.org/new"]
        # By name it is the same.
        url = "http://web.shop.svc.cluster.local/a"
        made.policy.tell(WEB, of_rules(rule))
        assert (await made.proxy.get(url)).endswith(b"ok")
        assert [arrived(head) for head in made.v2.heads] == ["example.org/new"] * 2


async def test_a_rewrite_for_one_backend_refuses_all() -> None:
    """Our controller sends none, and without it requests would ask for what they must not."""
    route = outbound_route(backend(WEB))
    weighted = route.rules[0].backends.random_available.backends[0]
    weighted.backend.filters.add().url_rewrite.host = "example.org"
    async with rig(detected(WEB, route)) as made:
        assert await made.status() == 500


async def test_what_no_request_can_ask_for_is_a_policy_that_cannot_be_used() -> None:
    route = outbound_route(backend(WEB))
    route.rules[0].filters.add().url_rewrite.path.full = "/a HTTP/1.1\r\nx: y"
    async with rig(detected(WEB, route)) as made:
        assert await made.status() == 500
        assert not made.web.heads
