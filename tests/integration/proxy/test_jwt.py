"""Tokens of inbound requests, in a whole proxy with a real issuer of keys beside it."""

import asyncio
from typing import Any

import grpc
import pytest

from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.policy.tokens import book, key_sets
from tests.support.inbound_rig import OTHER_STRANGER, Rig, rig
from tests.support.key_server import KeyServer
from tests.support.policy_stub import authz, resource, route, server
from tests.support.series import by
from tests.support.tokens import AUDIENCE, ISSUER, claims, jwk, jwks, key_for, token
from tests.support.wait import eventually_async

SET = jwks(jwk(key_for("ES256"), kid="one"))
NEXT_SET = jwks(jwk(key_for("ES256"), kid="one"), jwk(key_for("ES256", "two"), kid="two"))
HEADER = {"alg": "ES256", "kid": "one"}
NEXT_HEADER = {"alg": "ES256", "kid": "two"}
STRANGERS = ("127.0.0.2/32",)


def by_token(name: str = "login", *, networks: Any = STRANGERS, **said: Any) -> inbound.Authz:
    made = authz(name, networks=networks)
    jwt = inbound.Authn.PermitJwt(metadata=resource("JWTAuthentication", name), issuer=ISSUER)
    for field, value in {"jwks": SET, **said}.items():
        if field in {"claims", "headers"} or field in {"audiences", "algorithms"}:
            getattr(jwt, field).extend(value)
        elif value is not None:
            setattr(jwt, field, value)
    made.authentication.jwt.CopyFrom(jwt)
    return made


def told(**fields: str) -> list[inbound.Authn.PermitJwt.ClaimHeader]:
    header = inbound.Authn.PermitJwt.ClaimHeader
    return [header(claim=claim, header=name.replace("_", "-")) for claim, name in fields.items()]


def says(name: str, *values: str) -> inbound.Authn.PermitJwt.Claim:
    return inbound.Authn.PermitJwt.Claim(name=name, values=values)


async def ask(made: Rig, *lines: str, path: str = "/", source: str = "127.0.0.2") -> bytes:
    """The whole answer."""
    async with made.connection(source) as connection:
        more = "".join(f"{line}\r\n" for line in lines)
        wire = f"GET {path} HTTP/1.1\r\nHost: web:8080\r\n{more}Connection: close\r\n\r\n"
        connection.writer.write(wire.encode())
        return await connection.reader.read()


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def fields(head: bytes, name: bytes) -> list[bytes]:
    lines = [line.partition(b": ") for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    return [value for found, _, value in lines if found.lower() == name]


async def test_who_has_no_token_is_asked_for_one() -> None:
    async with rig(server(by_token())) as made:
        await made.becomes(401)
        answer = await ask(made)
        assert fields(answer, b"www-authenticate") == [b"Bearer"]
        assert status(await ask(made, "Authorization: Basic YTpi")) == 401
        assert not made.server.heads


async def test_a_sound_token_lets_in_and_goes_no_further() -> None:
    async with rig(server(by_token(audiences=[AUDIENCE]))) as made:
        await made.becomes(401)
        good = token(header=HEADER)
        for _ in range(3):
            assert status(await ask(made, bearer(good))) == 200
        assert fields(made.server.heads[-1], b"authorization") == []
        bad = await ask(made, bearer(token(claims(exp=1), header=HEADER)))
        assert status(bad) == 401
        assert fields(bad, b"www-authenticate") == [
            b'Bearer error="invalid_token", error_description="the token has expired"'
        ]
        found = await made.metrics()
        assert by(found, "inbound_http_jwt_total", "result")["accepted"] == 3
        assert by(found, "inbound_http_jwt_total", "result")["expired"] == 1
        assert by(found, "inbound_http_authz_allow_total", "authz_name")["login"] == 3


async def test_nobody_speaks_in_the_name_of_a_token() -> None:
    policy = server(
        by_token(headers=told(sub="x_user", role="x_role"), forward=True),
        authz("others", networks=["127.0.0.3/32"]),
    )
    forged = ("X-User: root", "x_user: root", "X-ROLE: root", "X-Other: 1")
    async with rig(policy) as made:
        await made.becomes(401)
        assert status(await ask(made, bearer(token(header=HEADER)), *forged)) == 200
        head = made.server.heads[-1]
        assert fields(head, b"x-user") == [b"ada"]
        assert fields(head, b"x_user") == fields(head, b"x-role") == []
        assert fields(head, b"x-other") == [b"1"]
        assert fields(head, b"authorization") != []
        # Nor does he who needs no token.
        assert status(await ask(made, *forged, source=OTHER_STRANGER)) == 200
        head = made.server.heads[-1]
        assert fields(head, b"x-user") == fields(head, b"x_user") == fields(head, b"x-role") == []
        assert fields(head, b"x-other") == [b"1"]


async def test_two_tokens_are_none() -> None:
    async with rig(server(by_token())) as made:
        await made.becomes(401)
        good = bearer(token(header=HEADER))
        for second in (good, "Authorization: Bearer x", "authorization: Basic YTpi"):
            assert status(await ask(made, good, second)) == 401
            assert status(await ask(made, second, good)) == 401
        assert status(await ask(made, good)) == 200


async def test_a_sound_token_that_does_not_say_enough() -> None:
    async with rig(server(by_token(claims=[says("role", "admin", "staff")]))) as made:
        await made.becomes(401)
        answer = await ask(made, bearer(token(claims(role="guest"), header=HEADER)))
        assert status(answer) == 403
        assert b'error="insufficient_scope"' in fields(answer, b"www-authenticate")[0]
        assert status(await ask(made, bearer(token(claims(role="staff"), header=HEADER)))) == 200


async def test_a_field_of_its_own() -> None:
    async with rig(server(by_token(header="X-Token"))) as made:
        await made.becomes(401)
        good = token(header=HEADER)
        assert status(await ask(made, f"x-token: {good}")) == 200
        assert fields(made.server.heads[-1], b"x-token") == []
        assert status(await ask(made, bearer(good))) == 401


async def test_issuers_beside_one_another() -> None:
    other = by_token("other", jwks=jwks(jwk(key_for("EdDSA"))))
    other.authentication.jwt.issuer = "https://other.example"
    async with rig(server(by_token(), other)) as made:
        await made.becomes(401)
        elsewhere = claims(iss="https://other.example")
        assert status(await ask(made, bearer(token(header=HEADER)))) == 200
        assert status(await ask(made, bearer(token(elsewhere, algorithm="EdDSA")))) == 200
        assert status(await ask(made, bearer(token(elsewhere, header=HEADER)))) == 401
        found = by(await made.metrics(), "inbound_http_authz_allow_total", "authz_name")
        assert found["login"] == found["other"] == 1


async def test_routes_ask_for_tokens_of_their_own() -> None:
    admins = by_token("admins", claims=[says("role", "admin")])
    policy = server(
        authz("strangers", networks=["127.0.0.3/32"]),
        routes=[route("admin", admins, path="/admin"), route("rest", by_token("all"))],
    )
    async with rig(policy) as made:
        await made.becomes(401)
        guest, admin = (
            bearer(token(claims(role=one), header=HEADER)) for one in ("guest", "admin")
        )
        assert status(await ask(made, guest)) == 200
        assert status(await ask(made, guest, path="/admin")) == 403
        assert status(await ask(made, admin, path="/admin")) == 200
        # What some server would take for another path has no token's right.
        assert status(await ask(made, guest, path="/x/..%2fadmin")) == 403
        assert status(await ask(made, path="/admin", source=OTHER_STRANGER)) == 200


async def test_other_bytes_have_no_token() -> None:
    async with rig(server(by_token())) as made:
        await made.becomes(401)
        async with made.connection() as connection:
            connection.writer.write(b"\x00\x01 no HTTP at all\r\n\r\n")
            assert await connection.is_over()


async def test_a_call_of_grpc_is_told_so() -> None:
    policy = server(by_token(networks=("127.0.0.0/8",)))
    # gRPC's client does not say where it comes from.
    async with rig(policy, INBOUND_JUDGES_LOCALHOST="true") as made:
        await made.becomes(401)
        door = "{}:{}".format(*made.proxy.static(direction="inbound"))
        async with grpc.aio.insecure_channel(door) as channel:
            call = channel.unary_unary("/a.B/C")
            for metadata in ([], [("authorization", "Bearer a.b.c")]):
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call(b"", metadata=metadata)
                assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


# ---- keys from a URL


async def test_keys_are_fetched_before_anybody_asks() -> None:
    async with (
        KeyServer(SET, chunked=True) as keys,
        rig(server(by_token(jwks=None, url=keys.url))) as made,
    ):
        await made.becomes(401)
        good = bearer(token(header=HEADER))
        assert [status(await ask(made, good)) for _ in range(5)] == [200] * 5
        assert keys.asked == 1
        found = by(await made.metrics(), "inbound_jwks_fetches_total", "result")
        assert found == {"success": 1}


async def test_requests_wait_for_the_first_keys() -> None:
    async with KeyServer(SET) as keys, rig(server(by_token(jwks=None, url=keys.url))) as made:
        keys.held.clear()
        await made.becomes(401)
        good = bearer(token(header=HEADER))
        waiting = [spawn(ask(made, good), name="ask") for _ in range(5)]
        gone = spawn(ask(made, good), name="ask")
        await eventually_async(lambda: keys.asked > 0)
        assert not made.server.heads
        gone.cancel()
        keys.held.set()
        assert [status(one) for one in await asyncio.gather(*waiting)] == [200] * 5
        assert keys.asked == 1


async def test_keys_that_are_away_let_nobody_in_and_are_asked_for_again() -> None:
    async with KeyServer(SET) as keys:
        keys.raw = b"HTTP/1.1 500 Oops\r\n\r\n"
        async with rig(server(by_token(jwks=None, url=keys.url))) as made:
            await made.becomes(401)
            good = bearer(token(header=HEADER))
            answer = await ask(made, good)
            assert status(answer) == 503
            assert fields(answer, b"www-authenticate") == []
            keys.raw = None

            async def is_let_in() -> bool:
                return status(await ask(made, good)) == 200

            _: bool = await eventually_async(is_let_in)


async def test_keys_change_under_load_and_nobody_gets_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The issuer signs with a new key as soon as it has told of it, and goes away afterwards."""
    monkeypatch.setattr(key_sets, "EARLY_S", 0.0)
    async with KeyServer(SET) as keys, rig(server(by_token(jwks=None, url=keys.url))) as made:
        await made.becomes(401)
        header, key, over = HEADER, key_for("ES256"), False
        answered: list[int] = []

        async def client(number: int) -> None:
            async with made.connection() as connection:
                turn = 0
                while not over:
                    turn += 1
                    said = claims(jti=f"{number}-{turn // 3}")
                    lines = bearer(token(said, header=header, key=key))
                    wire = f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"
                    connection.writer.write(wire.encode())
                    head = await connection.reader.readuntil(b"\r\n\r\n")
                    await connection.reader.readexactly(int(fields(head, b"content-length")[0]))
                    answered.append(status(head))

        async def answers(more: int) -> None:
            wanted = len(answered) + more
            _: bool = await eventually_async(lambda: len(answered) >= wanted)

        clients = [spawn(client(number), name="client") for number in range(8)]
        await answers(100)
        keys.text = NEXT_SET
        header, key = NEXT_HEADER, key_for("ES256", "two")
        await answers(100)
        await keys.stop()
        await answers(100)
        over = True
        await asyncio.gather(*clients)
        await keys.start()
        assert set(answered) == {200}
        assert keys.asked == 2


async def test_a_token_without_the_name_of_its_key_asks_for_keys_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (key_sets, book):
        monkeypatch.setattr(module, "EARLY_S", 0.05)
    async with (
        KeyServer(jwks(jwk(key_for("ES256")))) as keys,
        rig(server(by_token(jwks=None, url=keys.url))) as made,
    ):
        await made.becomes(401)
        assert status(await ask(made, bearer(token()))) == 200
        other = key_for("ES256", "other")
        keys.text = jwks(jwk(other))
        good = bearer(token(key=other))

        async def is_let_in() -> bool:
            return status(await ask(made, good)) == 200

        _: bool = await eventually_async(is_let_in)
        assert status(await ask(made, bearer(token()))) == 401


async def test_unknown_keys_ask_for_keys_no_more_often_than_that() -> None:
    async with KeyServer(SET) as keys, rig(server(by_token(jwks=None, url=keys.url))) as made:
        await made.becomes(401)
        assert status(await ask(made, bearer(token(header=HEADER)))) == 200
        for number in range(20):
            bad = token(header={"alg": "ES256", "kid": f"k{number}"})
            assert status(await ask(made, bearer(bad))) == 401
        assert keys.asked <= 2


async def test_a_policy_that_cannot_be_used_lets_nobody_in() -> None:
    async with rig(server(by_token(algorithms=["HS256"]))) as made:
        await made.becomes(500)
        made.stub.tell(made.port, server(by_token(header="content-length")))
        await made.becomes(500)
        made.stub.tell(made.port, server(by_token(jwks='{"keys": []}')))
        await made.becomes(401)
        assert status(await ask(made, bearer(token(header=HEADER)))) == 503
