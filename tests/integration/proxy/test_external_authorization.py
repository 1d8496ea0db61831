"""A whole proxy whose port's policy has an authorizer asked about each request: a real gRPC server, which lets
in, denies, takes its time, is away, or says what makes no sense.
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.connection
import h2.errors
import h2.events
import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py.proto.gen import external_auth_pb2 as external_auth
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.policy.authorizers import authorizer as module
from tests.support.authorizer import Answer, Authorizer, allow, deny, external
from tests.support.inbound_rig import FROM_STRANGER, NOBODY, STRANGER, Connection, Rig, rig
from tests.support.policy_stub import authz, route, server
from tests.support.ports import free_port
from tests.support.wait import eventually_async, within


class Gate:
    """Holds answers until it is opened."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or allow()
        self._opened = asyncio.Event()

    async def __call__(self, _: external_auth.CheckRequest) -> Answer:
        await self._opened.wait()
        return self.answer

    def open(self) -> None:
        self._opened.set()


@asynccontextmanager
async def asking(answer: inbound.Server, **options: str) -> AsyncIterator[Rig]:
    """A rig where that is what holds."""
    async with rig(answer, **options) as made:
        await made.stub_is_heard()
        yield made


async def head_of(made: Rig, request: bytes) -> bytes:
    """Of the answer to one request; the whole of it, for the connection ends."""
    async with made.connection() as connection:
        connection.writer.write(request)
        async with within(10):
            return await connection.reader.read()


async def asked(authorizer: Authorizer, number: int) -> None:
    async def so() -> bool:
        return len(authorizer.requests) >= number

    _: bool = await eventually_async(so)


def results(metrics: str) -> dict[str, int]:
    found = re.findall(
        r"^inbound_http_external_authz_total\{.*result=\"(\w+)\"\} (\d+)$", metrics, re.MULTILINE
    )
    return {result: int(count) for result, count in found if count != "0"}


ASK = b"GET /a?b=c HTTP/1.1\r\nHost: Shop.Example\r\nConnection: close\r\n"


async def test_the_authorizer_is_told_of_the_request_and_lets_it_in() -> None:
    async with Authorizer() as authorizer, asking(server(authorizer.authz(team="x"))) as made:
        await made.becomes(200)
        spoofed = b"L5d-Client-Id: admin\r\nl5d_client_id: admin\r\n"
        got = await head_of(made, ASK + b"X-A: 1\r\nx-a: 2\r\n" + spoofed + b"\r\n")
        assert got.startswith(b"HTTP/1.1 200")
        attributes = authorizer.requests[-1].attributes
        told = results(await made.metrics())
        port = made.port
    http = attributes.request.http
    assert (http.method, http.path, http.host, http.scheme) == (
        "GET",
        "/a?b=c",
        "Shop.Example",
        "http",
    )
    assert (http.protocol, http.size) == ("HTTP/1.1", 0)
    assert http.headers["x-a"] == "1,2"
    assert http.headers[":path"] == "/a?b=c"
    assert not [name for name in http.headers if "l5d" in name]
    assert attributes.source.address.socket_address.address == STRANGER
    assert attributes.source.principal == ""
    assert attributes.destination.address.socket_address.port_value == port
    assert dict(attributes.context_extensions) == {"team": "x"}
    assert attributes.request.time.seconds > 0
    assert told["allow"] == len(authorizer.requests)


async def test_it_changes_fields_of_what_it_lets_in_but_not_those_that_are_not_its() -> None:
    answer = allow(
        x_user="ada", x_there="new", host="evil", content_length="9", l5d_client_id="root"
    )
    options = external_auth.HeaderValueOption
    for name, value, action in (
        ("x-absent", "added", options.ADD_IF_ABSENT),
        ("x-kept", "lost", options.ADD_IF_ABSENT),
        ("x-never", "lost", options.OVERWRITE_IF_EXISTS),
    ):
        option = answer.ok_response.headers.add(append_action=action)
        option.header.key, option.header.value = name, value
    answer.ok_response.headers.add().header.key = "x-empty"
    more = answer.ok_response.headers.add()
    more.append.value = True
    more.header.key, more.header.raw_value = "x-list", b"2"
    answer.ok_response.headers_to_remove.extend(["Authorization", "host", ":path", "bad name"])
    async with (
        Authorizer(lambda _: answer) as authorizer,
        asking(server(authorizer.authz())) as made,
    ):
        await made.becomes(200)
        fields = b"x-there: old\r\nx-kept: mine\r\nx-list: 1\r\nauthorization: secret\r\n\r\n"
        assert (await head_of(made, ASK + fields)).startswith(b"HTTP/1.1 200")
        head = made.server.heads[-1].decode().lower()
    assert "\r\nx-user: ada\r\n" in head
    assert re.findall(r"\r\n(x-\w+: .*?)(?=\r\n)", head) == sorted(
        [
            "x-kept: mine",
            "x-list: 1",
            "x-list: 2",
            "x-user: ada",
            "x-there: new",
            "x-absent: added",
        ],
        key=head.index,
    )
    assert "authorization" not in head
    assert "\r\nhost: shop.example\r\n" in head
    assert "l5d-client-id" not in head
    assert "evil" not in head


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (deny(), 403),
        (deny(401, "who are you?", www_authenticate="Basic", x_why="none"), 401),
        (deny(302, location="https://login.example/"), 302),
        (deny(204, "no body has this"), 204),
        (deny(9999), 403),
        (external_auth.CheckResponse(status=external_auth.Status(code=16)), 403),
    ],
)
async def test_what_it_denies_is_answered_in_its_words(
    answer: external_auth.CheckResponse, status: int
) -> None:
    async with (
        Authorizer(lambda _: answer) as authorizer,
        asking(server(authorizer.authz())) as made,
    ):
        await made.becomes(status)
        got = await head_of(made, ASK + b"\r\n")
        headers, _, body = got.partition(b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 %d" % status)
        for option in answer.denied_response.headers:
            line = f"\r\n{option.header.key}: {option.header.value}\r\n"
            assert line.encode() in headers + b"\r\n"
        expected = answer.denied_response.body.encode() if status == 401 else b""
        assert body == expected
        if status != 204:
            assert b"content-length: %d" % len(expected) in headers
        # A stranger learns nothing of us.
        assert b"l5d-" not in headers
        without_body = await head_of(made, ASK.replace(b"GET", b"HEAD") + b"\r\n")
        assert without_body.endswith(b"\r\n\r\n")
        assert not made.server.heads
        assert set(results(await made.metrics())) == {"deny"}


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (deny(), "7", "external authorization denies this request"),
        (deny(401, "100% nö"), "16", "100%25 n%C3%B6"),
        (deny(302), "7", "external authorization denies this request"),
        (deny(429), "8", "external authorization denies this request"),
    ],
)
async def test_calls_of_grpc_hear_it_in_their_words(
    answer: external_auth.CheckResponse, code: str, message: str
) -> None:
    async with (
        Authorizer(lambda _: answer) as authorizer,
        asking(server(authorizer.authz())) as made,
        made.connection() as connection,
    ):
        call = Http2(connection)
        call.begin(1, grpc=True, end=True)
        fields = await call.fields(1)
    assert (fields[":status"], fields["grpc-status"], fields["grpc-message"]) == (
        "200",
        code,
        message,
    )


class Http2:
    """A client that says what it wants of HTTP/2."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.codec = h2.connection.H2Connection()
        self.codec.initiate_connection()
        self.found: dict[int, dict[str, str]] = {}
        self.ended: set[int] = set()

    def begin(self, stream: int, *, grpc: bool = False, end: bool = False) -> None:
        head = {":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "a"}
        more = {"content-type": "application/grpc", "te": "trailers"} if grpc else {}
        self.codec.send_headers(stream, [*head.items(), *more.items()], end_stream=end)
        self.flush()

    def flush(self) -> None:
        self.connection.writer.write(self.codec.data_to_send())

    async def turn(self) -> None:
        piece = await self.connection.reader.read(65536)
        assert piece, "the connection ended"
        for event in self.codec.receive_data(piece):
            if isinstance(event, h2.events.ResponseReceived):
                fields = {bytes(n).decode(): bytes(v).decode() for n, v in event.headers}
                self.found[event.stream_id or 0] = fields
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id or 0)
        self.flush()

    async def fields(self, stream: int) -> dict[str, str]:
        async with within(10):
            while stream not in self.found:
                await self.turn()
        return self.found[stream]


async def slow(_: external_auth.CheckRequest) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def huge(_: external_auth.CheckRequest) -> Answer:
    return deny(403, "x" * (5 << 20))


def error(_: external_auth.CheckRequest) -> Answer:
    found = external_auth.CheckResponse()
    found.status.code = 13
    found.error_response.SetInParent()
    return found


def raises(_: external_auth.CheckRequest) -> Answer:
    raise ValueError("a bug of the authorizer")


NO_ANSWERS = {
    "slow": slow,
    "garbage": lambda _: b"\xff\xff\xff\x01",
    "huge": huge,
    "large body": lambda _: deny(403, "x" * 70_000),
    "many fields": lambda _: allow(**{f"x_{number}": "y" for number in range(200)}),
    "error": error,
    "raises": raises,
}


@pytest.mark.parametrize("what", NO_ANSWERS)
@pytest.mark.parametrize(("fail_open", "status_on_error"), [(False, 0), (False, 403), (True, 0)])
async def test_without_an_answer_nobody_is_let_in_unless_policy_says_so(
    what: str, fail_open: bool, status_on_error: int
) -> None:
    async with Authorizer(NO_ANSWERS[what]) as authorizer:  # type: ignore[arg-type]
        said = authorizer.authz(
            timeout_s=0.2 if what == "slow" else 10.0,
            fail_open=fail_open,
            status_on_error=status_on_error,
        )
        async with asking(server(said)) as made:
            expected = 200 if fail_open else status_on_error or 503
            await made.becomes(expected)
            assert await made.status() == expected
            told = results(await made.metrics())
            assert len(made.server.heads) == (told["fail_open"] if fail_open else 0)
        assert set(told) == {"fail_open" if fail_open else "fail_closed"}


@pytest.mark.parametrize("fail_open", [False, True])
async def test_an_authorizer_that_is_away_and_comes_back(fail_open: bool) -> None:
    authorizer = Authorizer(lambda _: deny(418))
    authorizer.port = free_port()
    said = external(f"127.0.0.1:{authorizer.port}", timeout_s=0.5, fail_open=fail_open)
    async with asking(server(said)) as made:
        await made.becomes(200 if fail_open else 503)
        async with authorizer:
            await made.becomes(418)


async def test_what_its_own_error_response_says_is_answered() -> None:
    answer = external_auth.CheckResponse()
    answer.status.code = 13
    answer.error_response.status.code = 507
    answer.error_response.body = "no room"
    async with (
        Authorizer(lambda _: answer) as authorizer,
        asking(server(authorizer.authz())) as made,
    ):
        await made.becomes(507)
        assert (await head_of(made, ASK + b"\r\n")).endswith(b"\r\n\r\nno room")


async def test_requests_of_one_connection_stay_in_order() -> None:
    gate = Gate()

    def answer(request: external_auth.CheckRequest) -> object:
        path = request.attributes.request.http.path
        return gate(request) if path == "/1" else (deny(418) if path == "/2" else allow())

    async with (
        Authorizer(answer) as authorizer,  # type: ignore[arg-type]
        asking(server(authorizer.authz())) as made,
        made.connection() as connection,
    ):
        for path in (b"/1", b"/2", b"/3"):
            connection.writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        await asked(authorizer, 1)
        gate.open()
        statuses = []
        for _ in range(3):
            async with within(10):
                head = await connection.reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await connection.reader.readexactly(length)
            statuses.append(int(head.split()[1]))
    assert statuses == [200, 418, 200]
    assert [one.attributes.request.http.path for one in authorizer.requests] == ["/1", "/2", "/3"]


async def test_a_body_larger_than_the_window_waits_at_its_sender() -> None:
    """And all of it arrives."""
    gate = Gate()
    body = bytes(range(256)) * 4 * 1024  # 1 MiB
    async with Authorizer(gate) as authorizer, asking(server(authorizer.authz())) as made:
        async with made.connection() as connection:
            call = Http2(connection)
            call.begin(1)
            sent = 0
            await asked(authorizer, 1)
            async with within(20):
                while sent < len(body):
                    room = min(call.codec.local_flow_control_window(1), 16_384, len(body) - sent)
                    if room:
                        call.codec.send_data(1, body[sent : sent + room])
                        sent += room
                        call.flush()
                        continue
                    if not made.server.heads and sent:
                        # Nothing more may be sent while it waits.
                        assert sent <= 1 << 20
                        gate.open()
                    await call.turn()
            call.codec.end_stream(1)
            call.flush()
            assert (await call.fields(1))[":status"] == "200"
        asked_for = [one for one in made.server.heads if one.startswith(b"POST")]
        assert len(asked_for) == 1


@pytest.mark.parametrize("protocol", ["http1", "http2"])
async def test_a_client_that_goes_away_is_asked_about_no_more(protocol: str) -> None:
    gate = Gate()
    # Longer than a test waits: no time-out ends the question.
    async with (
        Authorizer(gate) as authorizer,
        asking(server(authorizer.authz(timeout_s=600))) as made,
    ):
        async with made.connection() as connection:
            if protocol == "http2":
                call = Http2(connection)
                call.begin(1)
                await asked(authorizer, 1)
                call.codec.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
                call.flush()
            else:
                connection.writer.write(ASK + b"\r\n")
                await asked(authorizer, 1)
                sock = connection.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.writer.transport.abort()  # type: ignore[attr-defined]

            async def cancelled() -> bool:
                return authorizer.cancelled == 1

            _: bool = await eventually_async(cancelled)
        assert results(await made.metrics()) == {"gone": 1}
        assert not made.server.heads
        gate.open()
        assert await made.status() == 200


async def test_a_change_of_policy_finds_a_request_that_waits() -> None:
    """It is under the policy that it came under; the next one is not."""
    gate = Gate()
    async with Authorizer(gate) as authorizer, asking(server(authorizer.authz())) as made:
        async with made.connection() as connection:
            connection.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await asked(authorizer, 1)
            made.stub.tell(made.port, server(NOBODY))
            await made.becomes(403)
            gate.open()
            async with within(10):
                assert (await connection.reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            assert await connection.ask() == 403
        made.stub.tell(made.port, server(FROM_STRANGER))
        await made.becomes(200)


async def test_a_thousand_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKS_MAX", 100)
    gate = Gate()

    async def one(made: Rig) -> int:
        return await made.status()

    async with (
        Authorizer(gate) as authorizer,
        asking(server(authorizer.authz(timeout_s=60))) as made,
    ):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(made)) for _ in range(1000)]

            async def refused() -> bool:
                return sum(task.done() for task in tasks) == 900

            _: bool = await eventually_async(refused, deadline_s=60)
            gate.open()
        statuses = [task.result() for task in tasks]
        told = results(await made.metrics())
    assert (statuses.count(200), statuses.count(503)) == (100, 900)
    assert authorizer.most <= 100
    assert told == {"allow": 100, "fail_closed": 900}
    assert debug.counts()["held"] == 0


async def test_who_is_let_in_anyway_is_not_asked_about() -> None:
    async with Authorizer(lambda _: deny(418)) as authorizer:
        anybody = authz("anybody", networks=["127.0.0.2/32"])
        async with asking(server(authorizer.authz(), anybody)) as made:
            await made.becomes(200)
            assert not authorizer.requests
            assert await made.status(source="127.0.0.3") == 418


async def test_routes_have_authorizers_and_no_path_leads_round_them() -> None:
    async with Authorizer(lambda _: deny(418)) as authorizer:
        admin = route("admin", authorizer.authz(), path="/admin")
        rest = route("rest", authz("anybody"), path="/")
        async with asking(server(routes=[admin, rest])) as made:
            await made.becomes(200)
            assert await made.status("/admin/x") == 418
            assert await made.status("/x/../admin") == 403
            assert await made.status("/x/%2e%2e/admin") == 403


async def test_bytes_are_nobodys_to_authorize() -> None:
    async with Authorizer() as authorizer:
        said = server(authorizer.authz(), kind="opaque")
        async with asking(said) as made:
            await made.becomes(0)
            assert not made.server.heads


async def test_an_authorizer_that_cannot_be_asked_is_a_policy_that_cannot_be_used() -> None:
    async with rig(server(external("nowhere")), default="all-unauthenticated") as made:
        await made.becomes(500)


async def test_nobody_is_asked_about_requests_to_the_proxy_itself() -> None:
    async with (
        Authorizer() as authorizer,
        asking(server(authorizer.authz()), default="all-unauthenticated") as made,
    ):
        host, _, port = made.proxy.listeners["admin"].partition(":")

        async def status() -> int:
            reader, writer = await asyncio.open_connection(
                host, int(port), local_addr=(STRANGER, 0)
            )
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            async with within(10):
                head = await reader.read()
            writer.close()
            return int(head.split()[1])

        assert await status() == 200
        made.stub.tell(int(port), server(authorizer.authz()))

        async def refused() -> bool:
            return await status() == 403

        done: bool = await eventually_async(refused)
        assert done
        assert not authorizer.requests
