"""A whole proxy that asks a policy controller, played by the test, about its workload's port.

Clients come from 127.0.0.2, of which policy knows nothing; from 127.0.0.1 the workload itself would come.
"""

import grpc
import pytest

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from tests.support.inbound_rig import (
    FROM_STRANGER,
    NOBODY,
    OTHER_STRANGER,
    STRANGER,
    rig,
)
from tests.support.policy_stub import (
    RECORDED,
    authz,
    default_route,
    recorded_server,
    resource,
    route,
    server,
)
from tests.support.wait import eventually_async


async def test_the_controller_is_asked_in_the_workloads_name_and_its_answer_holds() -> None:
    async with rig(server(FROM_STRANGER)) as made:
        await made.becomes(200)
        assert await made.status(source=OTHER_STRANGER) == 403
        assert made.stub.open(made.port)[0].workload == '{"ns":"shop","pod":"web-0"}'
        assert made.stub.count(made.port) == 1


async def test_until_it_answers_the_default_holds_and_localhost_is_always_let_in() -> None:
    async with rig() as made:
        assert await made.status() == 403
        assert await made.status(source="127.0.0.1") == 200
        made.stub.tell(made.port, server(FROM_STRANGER))
        await made.becomes(200)
        made.stub.tell(made.port, server())
        await made.becomes(403)
        assert await made.status(source="127.0.0.1") == 200


async def test_ports_of_the_environment_are_asked_about_from_the_start() -> None:
    async with rig(INBOUND_PORTS="7001,7002") as made:

        async def asked() -> bool:
            return made.stub.count(7001) == 1 and made.stub.count(7002) == 1

        await eventually_async(asked)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE]
)
async def test_who_answers_with_a_code_is_asked_again(code: grpc.StatusCode) -> None:
    async with rig(code, default="all-unauthenticated") as made:

        async def asked_again() -> bool:
            return made.stub.count(made.port) > 1

        assert await made.status() == 200
        await eventually_async(asked_again)
        made.stub.ports[made.port] = server(NOBODY)
        await made.becomes(403)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION]
)
async def test_whom_the_controller_does_not_want_to_hear_keeps_what_it_has(
    code: grpc.StatusCode,
) -> None:
    async with rig(server(FROM_STRANGER)) as made:
        await made.becomes(200)
        made.stub.tell(made.port, code)

        async def ended() -> bool:
            return not made.stub.open(made.port)

        await eventually_async(ended)
        assert await made.status() == 200
        assert await made.status(source=OTHER_STRANGER) == 403
        assert made.stub.count(made.port) == 1


async def test_an_answer_outlives_the_controller() -> None:
    async with rig(server(FROM_STRANGER)) as made:
        await made.becomes(200)
        await made.stub.stop()
        assert await made.status() == 200
        assert await made.status(source=OTHER_STRANGER) == 403
        made.stub.ports[made.port] = server(NOBODY)
        await made.stub.start()
        await made.becomes(403)


async def test_an_invalid_answer_lets_nobody_in_but_the_next_one_may() -> None:
    async with rig(inbound.Server(labels={"name": "web"}), default="all-unauthenticated") as made:
        await made.becomes(500)
        made.stub.tell(made.port, server(FROM_STRANGER))
        await made.becomes(200)


async def test_requests_on_open_connections_follow_the_new_answer() -> None:
    async with rig(server(FROM_STRANGER)) as made:
        await made.becomes(200)
        async with made.connection() as connection:
            assert await connection.ask() == 200
            made.stub.tell(made.port, server(NOBODY))
            await made.becomes(403)
            assert await connection.ask() == 403
            made.stub.tell(made.port, server(FROM_STRANGER))
            await made.becomes(200)
            assert await connection.ask() == 200


async def test_an_opaque_connection_ends_when_it_is_no_longer_let_in() -> None:
    async with rig(server(FROM_STRANGER, kind="opaque")) as made:

        async def is_opaque() -> bool:
            return all(target.is_opaque for target in made.proxy.targets("inbound"))

        await eventually_async(is_opaque)
        async with made.connection() as kept:
            assert await kept.ask() == 200
            # Of which policy says nothing new.
            made.stub.tell(made.port, server(FROM_STRANGER, authz("more", tls=True), kind="opaque"))
            assert await kept.ask() == 200
            made.stub.tell(made.port, server(NOBODY, kind="opaque"))
            assert await kept.is_over()
        series = await made.metrics()
    assert 'inbound_tcp_authz_terminate_total{target_port="' in series
    assert 'authz_kind="authorizationpolicy",authz_name="strangers"' in series


async def test_what_must_be_http_is_not_carried_as_anything_else() -> None:
    async with rig(server(FROM_STRANGER, kind="http1")) as made:
        await made.becomes(200)
        async with made.connection() as connection:
            connection.writer.write(b"\x00 no HTTP at all, and long enough to say so\r\n\r\n")
            head = await connection.reader.readuntil(b"\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert len(made.server.heads) == 1


PROBED = server(
    NOBODY,
    routes=[
        default_route("probe", FROM_STRANGER, path="/ready", exact=True, method="GET"),
        default_route("default"),
    ],
)


async def test_probes_reach_their_path_and_nothing_else() -> None:
    async with rig(PROBED) as made:
        await made.becomes(200, "/ready")
        assert await made.status("/ready?verbose=1") == 200
        assert await made.status("/ready", method="POST") == 403
        for path in ("/", "/ready/", "/readyz", "/ready/x", "/x/ready", "//ready"):
            assert await made.status(path) == 403, path
        assert await made.status("/ready", source=OTHER_STRANGER) == 403
        # One connection for both.
        async with made.connection() as connection:
            assert [await connection.ask(path) for path in ("/ready", "/", "/ready")] == [
                200,
                403,
                200,
            ]
        series = await made.metrics()
    assert 'route_kind="default",route_name="probe",authz_group="policy.linkerd.io"' in series


async def test_nothing_leads_out_of_a_path_that_is_open() -> None:
    shut = [route("probe", FROM_STRANGER, path="/ready")]
    async with rig(server(NOBODY, routes=shut)) as made:
        await made.becomes(200, "/ready")
        for path in ("/ready/", "/ready/a.b", "/ready/a%20b", "/ready?a=/../b", "/ready/."):
            assert await made.status(path) == 200, path
        for path in ("/readyz", "/ready;x", "//ready"):
            assert await made.status(path) == 404, path
        for path in (
            "/ready/../admin",
            "/ready/x/..;/../admin",
            "/ready/%2e%2E/admin",
            "/ready/.%2e/admin",
            "/ready/..%2fadmin",
            "/ready/%252e%252e/admin",
            "/ready/..\\admin",
            "/ready/..%5Cadmin",
            "http://a/ready/../admin",
        ):
            assert await made.status(path) == 403, path
        assert await made.status("http://a/ready") == 200
        assert await made.status("*", method="OPTIONS") == 404
        assert await made.status("/ready", method="CONNECT") == 400
        assert await made.status("a:80", method="CONNECT") == 404


async def test_where_all_paths_are_open_there_is_no_way_out() -> None:
    async with rig(server(NOBODY, routes=[route("all", FROM_STRANGER)])) as made:
        await made.becomes(200)
        assert await made.status("/a/../b") == 200


async def test_requests_without_a_route_are_not_found() -> None:
    routes = [route("api", path="/api"), route("one", path="/one", exact=True, method="GET")]
    async with rig(server(FROM_STRANGER, kind="http1", routes=routes)) as made:
        await made.becomes(200, "/api")
        asked = ["/api/x", "/one", "/", "/apix", "/one/", "/ap"]
        assert [await made.status(path) for path in asked] == [200, 200, 404, 404, 404, 404]
        assert await made.status("/api", source=OTHER_STRANGER) == 403
        assert await made.status("/", source=OTHER_STRANGER) == 404
        series = await made.metrics()
    assert "inbound_http_route_not_found_total{" in series


async def test_who_may_call_is_said_in_the_series_of_requests() -> None:
    async with rig(server(FROM_STRANGER)) as made:
        await made.becomes(200)
        series = await made.metrics()
    (line,) = [one for one in series.splitlines() if one.startswith("request_total{")]
    assert (
        f'srv_group="policy.linkerd.io",srv_kind="server",srv_name="web",srv_port="{made.port}",'
        'route_group="",route_kind="default",route_name="default",'
        'authz_group="policy.linkerd.io",authz_kind="authorizationpolicy",authz_name="strangers"'
    ) in line


async def test_audit_lets_in_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "linkerd2_py")
    async with rig(default="audit") as made:
        assert await made.status() == 200
    assert f"port {made.port}: {STRANGER} is let in by audit only" in caplog.text


def canary() -> inbound.HttpRoute:
    """For those whom the server does not let in, with everything that a route can ask of a request."""
    made = route("canary", FROM_STRANGER, path="/")
    made.hosts.add().suffix.reverse_labels.extend(["shop"])
    wanted = made.rules[0].matches[0]
    wanted.path.regex = "/v[0-9]+/.*"
    wanted.headers.add(name="X-Canary", exact=b"yes")
    wanted.query_params.add(name="user", regex="[a-z]+")
    return made


async def test_routes_are_matched_by_all_that_they_ask() -> None:
    well = {"path": "/v2/x?user=ann", "host": "a.shop:80", "canary": "yes"}
    async with rig(server(NOBODY, routes=[canary(), default_route("default")])) as made:

        async def status(**changes: str) -> int:
            one = {**well, **changes}
            async with made.connection() as connection:
                connection.writer.write(
                    f"GET {one['path']} HTTP/1.1\r\nHost: {one['host']}\r\n"
                    f"x-canary: {one['canary']}\r\nConnection: close\r\n\r\n".encode()
                )
                return int((await connection.reader.read()).split()[1])

        async def known() -> bool:
            return await status() == 200

        await eventually_async(known)
        for changes in (
            {"path": "/v2/x?user=Ann"},
            {"path": "/v2?user=ann"},
            {"path": "/v2/x"},
            {"host": "shop"},
            {"host": "a.shop.example"},
            {"canary": "no"},
        ):
            assert await status(**changes) == 403, changes
        series = await made.metrics()
    assert 'route_kind="HTTPRoute",route_name="canary",authz_group="policy.linkerd.io"' in series


async def test_what_is_not_done_is_said_with_its_route(caplog: pytest.LogCaptureFixture) -> None:
    asking = route("canary", FROM_STRANGER, path="/")
    asking.rules[0].filters.add().request_header_modifier.remove.append("Host")
    async with rig(server(NOBODY, routes=[asking])) as made:
        await made.becomes(200)
    assert "HTTPRoute canary: left out: host is not a route's to change" in caplog.text


def limited(*, total: int = 0, identity: int = 0, name: str = "web") -> inbound.Server:
    probe = default_route("probe", FROM_STRANGER, path="/ready", exact=True, method="GET")
    made = server(FROM_STRANGER, routes=[probe, default_route("default")])
    limit = made.protocol.detect.http_local_rate_limit
    limit.metadata.CopyFrom(resource("httplocalratelimitpolicy", name))
    limit.total.requestsPerSecond = total
    limit.identity.requestsPerSecond = identity
    return made


async def test_a_rate_limit_is_kept_counted_and_outlives_what_else_changes() -> None:
    async with rig(limited(total=2, identity=1)) as made:
        await made.becomes(200)

        async def statuses(count: int) -> list[int]:
            async with made.connection() as connection:
                return [await connection.ask() for _ in range(count)]

        async def beyond() -> bool:
            return 429 in await statuses(5)

        await eventually_async(beyond)
        async with made.connection() as connection:
            assert [await connection.ask("/ready") for _ in range(5)] == [200] * 5
        series = await made.metrics()
        assert (
            'ratelimit_group="policy.linkerd.io",ratelimit_kind="httplocalratelimitpolicy",'
            'ratelimit_name="web",ratelimit_scope="identity"'
        ) in series
        # Without a limit again, on a connection that is open.
        async with made.connection() as connection:
            made.stub.tell(made.port, server(FROM_STRANGER))

            async def free() -> bool:
                return [await connection.ask() for _ in range(5)] == [200] * 5

            await eventually_async(free)


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no recordings of Linkerd's policy controller here"
)
async def test_answers_of_linkerds_controller_are_followed() -> None:
    async with rig() as made:
        made.stub.tell(made.port, recorded_server("inbound-default"))
        await made.becomes(200)
        # Plain text to a port whose clients must have an identity.
        made.stub.tell(made.port, recorded_server("inbound-server-opaque-access-policy"))
        await made.becomes(0)
        # Its one route is open to everybody, the server to nobody without an identity.
        made.stub.tell(made.port, recorded_server("inbound-server-http-route-ratelimit"))
        await made.becomes(200, "/api/x")
        assert await made.status("/") == 404
        assert await made.status("/api", method="POST") == 404
        made.stub.tell(made.port, recorded_server("inbound-server-audit-saz-grpc"))
        await made.becomes(200)


async def test_the_admin_port_answers_under_every_policy() -> None:
    async with rig(server(), default="all-unauthenticated") as made:
        for path in ("/ready", "/live", "/metrics"):
            assert (await made.proxy.ask_admin("GET", path)).startswith(b"HTTP/1.1 200"), path
