"""Filters of inbound routes in a whole proxy: what is changed, answered and counted, and for whom."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from tests.support.inbound_rig import FROM_STRANGER, NOBODY, OTHER_STRANGER, Rig, rig
from tests.support.policy_stub import authz, resource, route, server
from tests.support.series import by, series

OTHERS = authz("others", networks=["127.0.0.3/32"])


def filtering(filters: Callable[[Any], None], *, path: str = "/filtered") -> inbound.Server:
    """A route whose first rule filters, and one of everything else, both for strangers alone."""
    made = route("filtered", path=path)
    filters(made.rules[0].filters)
    return server(FROM_STRANGER, routes=[made, route("rest")])


async def ask(made: Rig, path: str, *lines: str, source: str = "127.0.0.2") -> bytes:
    """The whole answer."""
    async with made.connection(source) as connection:
        more = "".join(f"{line}\r\n" for line in lines)
        wire = f"GET {path} HTTP/1.1\r\nHost: web:8080\r\n{more}Connection: close\r\n\r\n"
        connection.writer.write(wire.encode())
        return await connection.reader.read()


def field(head: bytes, name: bytes) -> list[bytes]:
    lines = [line.partition(b": ") for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    return [value for found, _, value in lines if found.lower() == name]


def modified(filters: Any) -> None:
    request = filters.add().request_header_modifier
    request.add.headers.add(name="X-Added", value=b"route")
    request.set.headers.add(name="User-Agent", value=b"set")
    request.remove.append("x-secret")


async def test_fields_of_requests_are_changed() -> None:
    async with rig(filtering(modified)) as made:
        await made.becomes(200)
        for path in ("/filtered", "/else"):
            got = await ask(made, path, "X-Secret: 1", "User-Agent: curl", "X-Added: own")
            assert got.endswith(b"ok")
        filtered, other = made.server.heads[-2:]
        assert field(filtered, b"x-added") == [b"own", b"route"]
        assert field(filtered, b"user-agent") == [b"set"]
        assert field(filtered, b"x-secret") == []
        assert field(other, b"x-added") == [b"own"]
        assert field(other, b"x-secret") == [b"1"]


def redirected(filters: Any) -> None:
    filters.add().redirect.path.prefix = "/new"


async def test_a_client_is_sent_elsewhere_and_counted_as_let_in() -> None:
    async with rig(filtering(redirected)) as made:
        await made.becomes(200)
        before = len(made.server.heads)
        got = await ask(made, "/filtered/a?b")
        assert got.startswith(b"HTTP/1.1 301 ")
        assert field(got, b"location") == [b"http://web:8080/new/a?b"]
        assert len(made.server.heads) == before
        found = await made.metrics()
        assert by(found, "inbound_http_authz_allow_total", "route_name")["filtered"] == 1
        assert not series(found, "inbound_http_errors_total")


async def test_who_is_not_let_in_is_not_told_where_to_ask() -> None:
    async with rig(filtering(redirected)) as made:
        await made.becomes(200)
        got = await ask(made, "/filtered/a", source=OTHER_STRANGER)
        assert got.startswith(b"HTTP/1.1 403 ")
        assert not field(got, b"location")


async def test_a_redirect_to_where_a_request_goes_lets_it_through() -> None:
    def same(filters: Any) -> None:
        filters.add().redirect.port = 8080

    async with rig(filtering(same)) as made:
        await made.becomes(200)
        assert (await ask(made, "/filtered")).endswith(b"ok")


def failing(filters: Any) -> None:
    injector = filters.add().failure_injector
    injector.status, injector.message = 418, "the kettle"
    injector.ratio.numerator, injector.ratio.denominator = 1, 2


async def test_a_share_of_requests_fails() -> None:
    async with rig(filtering(failing)) as made:
        await made.becomes(200)
        before = len(made.server.heads)
        async with made.connection() as connection:
            answers = [await connection.ask("/filtered") for _ in range(60)]
            assert await connection.ask("/else") == 200
        assert set(answers) == {200, 418}
        assert len(made.server.heads) - before == answers.count(200) + 1
        found = await made.metrics()
        allowed = by(found, "inbound_http_authz_allow_total", "route_name")
        assert allowed["filtered"] == 60


async def test_what_a_route_answers_takes_nothing_from_a_limit() -> None:
    """As in Linkerd: what is changed counts, what is answered does not."""
    answer = filtering(redirected)
    answer.protocol.detect.http_local_rate_limit.metadata.CopyFrom(resource("limit", "web"))
    answer.protocol.detect.http_local_rate_limit.total.requestsPerSecond = 1
    async with rig(answer) as made:
        await made.becomes(429)
        async with made.connection() as connection:
            assert {await connection.ask("/filtered") for _ in range(20)} == {301}


async def test_each_client_has_its_authorizations_and_all_have_the_filters() -> None:
    """A route may add clients whom the server does not let in."""
    added = route("filtered", OTHERS, path="/filtered")
    redirected(added.rules[0].filters)
    async with rig(server(FROM_STRANGER, routes=[added, route("rest")])) as made:
        await made.becomes(200)
        for source in ("127.0.0.2", OTHER_STRANGER):
            assert (await ask(made, "/filtered", source=source)).startswith(b"HTTP/1.1 301 ")
        assert (await ask(made, "/else", source=OTHER_STRANGER)).startswith(b"HTTP/1.1 403 ")


async def test_rules_of_a_route_filter_for_themselves() -> None:
    """Also where one means everything, and stands behind the others."""
    made_of = route("all", path="/a")
    redirected(made_of.rules[0].filters)
    rest = made_of.rules.add()
    rest.matches.add().path.prefix = "/"
    rest.filters.add().redirect.host = "rest.example.org"
    async with rig(server(FROM_STRANGER, routes=[made_of])) as made:
        await made.becomes(301)
        found = [field(await ask(made, path), b"location") for path in ("/a/b", "/b")]
        assert found == [[b"http://web:8080/new/b"], [b"http://rest.example.org:8080/b"]]


async def test_filters_change_with_the_policy_on_open_connections() -> None:
    async with rig(filtering(redirected)) as made:
        await made.becomes(301, "/filtered")
        async with made.connection() as connection:
            assert await connection.ask("/filtered") == 301
            made.stub.tell(made.port, server(FROM_STRANGER, routes=[route("rest")]))
            await made.becomes(200, "/filtered")
            assert await connection.ask("/filtered") == 200


async def test_calls_of_grpc_fail_as_their_route_says() -> None:
    calls = inbound.GrpcRoute(metadata=meta.Metadata(default="grpc"))
    rule = calls.rules.add()
    rule.filters.add().failure_injector.code = 9
    rule.filters[0].failure_injector.message = "100% not today"
    answer = server(FROM_STRANGER, kind="grpc", routes=[calls])
    async with rig(answer, default="all-unauthenticated") as made:
        options = [("grpc.local_ip_address", "127.0.0.1")]
        address = "{}:{}".format(*made.proxy.static(direction="inbound"))

        async def failed() -> grpc.aio.AioRpcError:
            async with grpc.aio.insecure_channel(address, options=options) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_unary("/a.B/C")(b"")
            return refused.value

        # From 127.0.0.1, which is let in whatever the policy says: its requests are of routes, too.
        await made.becomes(500)
        found = await failed()
        assert found.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert found.details() == "100% not today"


def odd(filters: Any) -> None:
    filters.add().redirect.host = "a b"


async def test_a_filter_that_cannot_be_lets_nobody_in() -> None:
    async with rig(filtering(odd)) as made:
        await made.becomes(500)
        made.stub.tell(made.port, server(FROM_STRANGER))
        await made.becomes(200)


async def test_nobody_is_redirected_where_nobody_is_let_in() -> None:
    made_of = route("filtered")
    redirected(made_of.rules[0].filters)
    async with rig(server(NOBODY, routes=[made_of]), default="all-unauthenticated") as made:
        await made.becomes(403)
