"""What one protocol refuses, no other lets through: the same head over HTTP/1, over HTTP/2, and as HTTP/1
within HTTP/2.
"""

import pytest

from tests.integration.adversity.rig import converse
from tests.support.carriers import CARRIERS, HTTP1, HTTP2, OK, Message, ask, inbound_of, judged
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async
from tests.support.ways import TLS, mesh, way_to
from tests.support.workloads import identity_of, name_of

SOUND = {
    "plain": Message(),
    "a path that is not ASCII": Message(path="/caf\u00e9?q=\u6d4b".encode()),
    "a path that is no UTF-8": Message(path=b"/\x80\xff"),
    "a path with odd letters": Message(path=b'/<>"{}|\\^`'),
    "an empty port": Message(authority=b"svc.test:"),
    "an address": Message(authority=b"[::1]:80"),
    "a method of its own": Message(method=b"PURGE!"),
    "OPTIONS of all": Message(method=b"OPTIONS", path=b"*"),
    "a value that is not ASCII": Message(fields=[(b"x", b"caf\xe9")]),
    "an empty value": Message(fields=[(b"x", b"")]),
    "a tab": Message(fields=[(b"x", b"a\tb")]),
}
UNSOUND = {
    "a comma in the authority": Message(authority=b"a,b"),
    "a semicolon in the authority": Message(authority=b"a;b=c"),
    "user information": Message(authority=b"u@a"),
    "an open bracket": Message(authority=b"[::1"),
    "a zone": Message(authority=b"[fe80::1%25eth0]"),
    "a port too large": Message(authority=b"a:99999"),
    "a port of letters": Message(authority=b"a:b"),
    "two ports": Message(authority=b"a:1:2"),
    "a star for an authority": Message(authority=b"*"),
    "a percent sign in the authority": Message(authority=b"a%41"),
    "an authority that is not ASCII": Message(authority=b"caf\xe9"),
    "a slash in the authority": Message(authority=b"a/b"),
    "a fragment": Message(path=b"/a#b"),
    "a space in the path": Message(path=b"/a b"),
    "a NUL in the path": Message(path=b"/a\0b"),
    "DEL in the path": Message(path=b"/a\x7fb"),
    "no slash": Message(path=b"a"),
    "a star that is not OPTIONS": Message(path=b"*"),
    "a bad method": Message(method=b"G@T"),
    "a space in the method": Message(method=b"G T"),
    "a space in a name": Message(fields=[(b"x y", b"1")]),
    "an empty name": Message(fields=[(b"", b"1")]),
    "a name that is not ASCII": Message(fields=[(b"x\xe9", b"1")]),
    "a bracket in a name": Message(fields=[(b"x[", b"1")]),
    "a NUL in a value": Message(fields=[(b"x", b"a\0b")]),
    "a bare CR": Message(fields=[(b"x", b"a\rb")]),
    "a bare LF": Message(fields=[(b"x", b"a\nb")]),
    "DEL in a value": Message(fields=[(b"x", b"a\x7fb")]),
    "a length that is none": Message(fields=[(b"content-length", b"+5")]),
    "two lengths": Message(fields=[(b"content-length", b"1"), (b"content-length", b"2")]),
    "a control byte in a trailer": Message(body=b"x", trailers=[(b"x", b"a\0b")]),
    "a space in a trailer's name": Message(body=b"x", trailers=[(b"x y", b"1")]),
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", SOUND)
async def test_what_is_sound_passes_unchanged(name: str, carrier: str, step: int) -> None:
    message = SOUND[name]
    async with engine() as made:
        verdict = await judged(made, message, carrier=carrier, step=step)
    assert verdict.status == 200
    (head,) = verdict.heads
    line, *fields = head.split(b"\r\n")
    assert line == message.method + b" " + message.path + b" HTTP/1.1"
    assert [one for one in fields if one.lower().startswith(b"host:")] == [
        (b"host" if carrier == HTTP2 else b"Host") + b": " + message.authority
    ]
    for key, value in message.fields:
        assert key + b": " + value in fields


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", UNSOUND)
async def test_what_is_unsound_is_the_clients_fault(name: str, carrier: str, step: int) -> None:
    async with engine() as made:
        verdict = await judged(made, UNSOUND[name], carrier=carrier, step=step)
    assert not verdict.accepted
    assert verdict.status == (400 if carrier == HTTP1 else None)


# ---- trailers

UNTRAILED = [
    b"l5d-client-id", b"l5d_client_id", b"L5d-Client_Id", b"l5d_anything", b"authorization", b"proxy-authorization", b"cookie",     b"content_length", b"content-encoding", b"content_encoding", b"content-type", b"host", b"x-forwarded-for", b"x_forwarded_for",
    b"x-forwarded-client-cert-that-is-long", b"forwarded", b"set-cookie", b"cache-control", b"max-forwards", b"expect", b"trailer",
]  # fmt: skip
TRAILED = [
    b"x-ok",
    b"x_ok",
    b"grpc-status",
    b"grpc-message",
    b"etag",
    b"a-name-that-is-longer-than-others",
]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", [*UNTRAILED, *TRAILED])
async def test_which_fields_of_a_request_may_come_late(name: bytes, carrier: str) -> None:
    spelled = name if carrier == HTTP1 else name.lower()
    message = Message(b"POST", body=b"hello", trailers=[(spelled, b"0"), (b"x-last", b"1")])
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = await inbound_of(made, server, carrier=carrier)
        assert await ask(address, message, carrier=carrier) == 200
        # The answer may come before the last chunk is here.
        await eventually_async(lambda: b"x-last: 1\r\n" in server.trailers)
    assert (spelled + b": 0\r\n" in server.trailers) == (name in TRAILED)


# ---- the authority of an absolute form


@pytest.mark.parametrize("way", ["one proxy", "two proxies", TLS])
@pytest.mark.parametrize(
    ("target", "authority"),
    [(b"http://other.test/x", b"other.test"), (b"http://other.test:81/x", b"other.test:81"), (b"https://other.test/x", b"other.test")],
)  # fmt: skip
async def test_host_is_what_the_target_says_on_every_leg(
    way: str, target: bytes, authority: bytes
) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=way)
        request = b"GET " + target + b" HTTP/1.1\r\nHost: web.test\r\n\r\n"
        assert (await talk(address, request, until=b"ok")).startswith(b"HTTP/1.1 200")
    line, *fields = server.heads[0].split(b"\r\n")
    assert line == b"GET " + target + b" HTTP/1.1"
    hosts = [one.partition(b": ")[2] for one in fields if one.lower().startswith(b"host:")]
    assert hosts == [authority]


async def test_https_is_not_turned_into_http() -> None:
    """A forward proxy that has no TLS of its own towards the target says so, instead of sending in plain text
    what was to be secret.
    """
    async with engine() as made:
        table = made.table("outbound")
        _server, address = made.server(table)
        got, _ = await converse(address, b"GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert not table.targets()
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"CONNECT" in got


# ---- fields that are ours

OURS = [
    b"l5d-remote-ip", b"l5d-server-id", b"l5d-dst-override", b"l5d-dst-canonical", b"l5d-retry-http", b"l5d-retry-limit", b"l5d-timeout",
    b"l5d-response-timeout", b"l5d-require-id", b"l5d-client-id", b"l5d_client_id", b"l5d-client_id", b"l5d-proxy-error", b"l5d-proxy-connection", b"l5d-x",
]  # fmt: skip


@pytest.mark.parametrize("proves", [False, True], ids=["nobody proves anything", "others prove"])
@pytest.mark.parametrize("carrier", [HTTP1, HTTP2])
async def test_who_has_proven_nothing_says_nothing_in_our_name(
    carrier: str, *, proves: bool
) -> None:
    message = Message(fields=[(name, b"forged") for name in OURS])
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        identity = identity_of(mesh(), "voting") if proves else None
        address = await inbound_of(made, server, carrier=carrier, identity=identity)
        assert await ask(address, message, carrier=carrier) == 200
    assert b"l5d" not in server.heads[0].lower()
    assert b"forged" not in server.heads[0]


async def test_a_proven_client_cannot_lie_about_who_it_is_however_it_spells_it() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=TLS)
        forged = Message(fields=[(name, b"forged") for name in OURS if b"client" in name])
        await talk(address, forged.as_http1(), until=b"ok")
    fields = [one for one in server.heads[0].split(b"\r\n") if one.lower().startswith(b"l5d")]
    assert fields == [b"l5d-client-id: " + name_of("web").encode()]
