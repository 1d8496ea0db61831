"""Sets of keys, where they come from, and when they are asked for again."""

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.proxy.policy.kinds_of_tokens import KeySource
from linkerd2_py.proxy.policy.tokens.fetch import FetchError, check_url, fetch
from linkerd2_py.proxy.policy.tokens.key_sets import EARLY_S, KeySet
from linkerd2_py.proxy.policy.tokens.keys import LARGEST_SET, MOST_KEYS, read_keys
from tests.support.key_server import KeyServer
from tests.support.tokens import b64, jwk, jwks, key_for, private_key
from tests.support.wait import eventually_async

SET = jwks(jwk(key_for("ES256")))
RSA = jwk(key_for("RS256"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no list of keys"),
        ('{"keys": {}}', "no list of keys"),
        ('{"keys": []}', "no key of it can verify tokens"),
        ('{"keys": [1]}', r"keys\[0\]: it is no object"),
        (jwks({"kty": "oct", "k": "c2VjcmV0"}), "a kind of key that is not taken"),
        (jwks({**RSA, "e": b64(b"\1")}), "an exponent that is not safe"),
        (jwks({**RSA, "e": b64(b"\4")}), "an exponent that is not safe"),
        (jwks({**RSA, "e": b64(b"\1" * 9)}), "an exponent that is not safe"),
        (jwks({**RSA, "n": b64(b"\1" * 2000)}), "an RSA key of"),
        (jwks({**RSA, "n": "+/=="}), "its numbers are not base64url"),
        (jwks({**RSA, "n": 5}), "it has no n"),
        (jwks({**RSA, "kid": 5}), "kid or alg is no text"),
        (jwks({**RSA, "alg": "ES256"}), "it is no key for ES256"),
        (jwks({**RSA, "use": "enc"}), "no key of it can verify tokens"),
        (jwks({**RSA, "key_ops": ["sign"]}), "no key of it can verify tokens"),
        (jwks({**jwk(key_for("ES256")), "crv": "secp256k1"}), "a curve that is not taken"),
        (jwks({**jwk(key_for("ES256")), "crv": ["P-256"]}), "a curve that is not taken"),
        (jwks({**jwk(key_for("ES256")), "x": b64(b"\1")}), "its numbers are not of 32 bytes"),
        (jwks({"kty": "OKP", "crv": "X25519", "x": b64(bytes(32))}), "a kind of key that is not"),
        (jwks({"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(31))}), "it is no public key"),
        (jwks(*[{"kty": "oct"}] * (MOST_KEYS + 1)), "more than"),
        (" " * (LARGEST_SET + 1), "more than"),
    ],
)
def test_what_is_no_set_of_keys(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_keys(text.encode())


def test_one_bad_key_spoils_no_other() -> None:
    keys, problems = read_keys(jwks(jwk(private_key("1024")), jwk(key_for("ES256"))).encode())
    assert len(keys) == 1
    assert problems == ["keys[0]: an RSA key of 1024 bits; there must be 2048 to 8192"]


@pytest.mark.parametrize(
    "url",
    [
        *("", "a", "ftp://a/", "http://", "http://a:0/", "http://a:70000/", "http://u@a/"),
        *("http://a/#b", "http://a b/", "http://a/ b", "http://a/\r\nX: y", "https://a/ä"),
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="no URL"):
        check_url(url)


@pytest.mark.parametrize("url", ["https://a.example/k?x=1", "http://[::1]:8080", "http://a_b:1/"])
def test_what_is_one(url: str) -> None:
    check_url(url)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Content-Encoding: gzip\r\n\r\nabc",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
async def test_what_is_no_document(raw: bytes) -> None:
    async with KeyServer("") as server:
        server.raw = raw
        with pytest.raises(FetchError):
            await fetch(server.url)


async def test_an_answer_without_an_end_is_bounded() -> None:
    async with KeyServer("") as server:
        server.raw = OK + b"\r\n" + bytes(1024 * 1024)
        with pytest.raises(FetchError, match="more than"):
            await fetch(server.url)


async def test_nobody_waits_for_an_answer_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("linkerd2_py.proxy.policy.tokens.fetch.TIMEOUT_S", 0.2)
    async with KeyServer("") as server:
        server.held.clear()
        with pytest.raises(FetchError, match=r"no answer within 0\.2 s"):
            await fetch(server.url)


# As a proxy runs: on its loop, without Python's TLS.
AS_A_PROXY = """
import sys
from linkerd2_py.proxy.stand_ins import stand_in
stand_in()
import asyncio
from linkerd2_py.base.event_loop import new_event_loop
from linkerd2_py.proxy.policy.tokens.fetch import fetch
with asyncio.Runner(loop_factory=new_event_loop) as runner:
    sys.stdout.buffer.write(runner.run(fetch(sys.argv[1])))
assert not hasattr(sys.modules["ssl"], "__file__")
"""


@pytest.mark.parametrize("trusted", [True, False])
async def test_by_https_from_a_proxy_whose_system_trusts_the_server(
    tmp_path: Path, *, trusted: bool
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    (authority if trusted else other).cert_pem.write_to_path(str(tmp_path / "trusted.pem"))
    terms = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(terms)
    async with KeyServer(SET, tls=terms) as server:
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", AS_A_PROXY, server.url),
            env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "trusted.pem")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        found, said = await asked.communicate()
    assert (found == SET.encode()) is trusted, said
    assert (b"certificate verify failed" in said) is not trusted


async def test_a_server_that_is_not_there() -> None:
    async with KeyServer("") as server:
        await server.stop()
        with pytest.raises(FetchError):
            await fetch(server.url)
        await server.start()


class Users:
    """Who works by keys."""

    def __init__(self) -> None:
        self.forgot = self.resumed = 0

    def forget(self) -> None:
        self.forgot += 1

    def resume(self) -> None:
        self.resumed += 1


def key_set(source: KeySource) -> tuple[KeySet, ManualClock, Users, list[str]]:
    clock, users, counted = ManualClock(), Users(), list[str]()
    found = KeySet(source, clock=clock, count=counted.append)
    found.users.append(users)
    return found, clock, users, counted


def test_keys_of_the_policy_itself_are_read_once() -> None:
    keys, clock, users, counted = key_set(KeySource("jwks", SET))
    assert keys.use()
    assert keys.keys is not None
    clock.advance(10_000)
    assert keys.use()
    assert not keys.miss()
    assert (users.forgot, counted) == (1, ["success"])


def test_a_file_is_followed_and_kept_when_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(SET)
    keys, clock, users, counted = key_set(KeySource("file", str(file)))
    assert keys.use()
    first = keys.keys
    file.write_text(jwks(jwk(key_for("ES256")), jwk(key_for("EdDSA"))))
    assert keys.use()
    assert keys.keys is first
    clock.advance(10)
    assert keys.use()
    assert keys.keys is not None
    assert len(keys.keys) == 2
    file.unlink()
    clock.advance(10)
    assert keys.use()
    assert len(keys.keys) == 2
    assert (users.forgot, counted) == (2, ["success", "success", "failure"])


@pytest.mark.parametrize("path", ["/dev/zero", "/", "/nowhere/at/all"])
def test_what_is_no_file_is_no_keys(path: str) -> None:
    keys, _, _, counted = key_set(KeySource("file", path))
    assert keys.use()
    assert keys.keys is None
    assert counted == ["failure"]


async def test_keys_of_a_url_in_the_course_of_time() -> None:
    async with KeyServer(SET) as server:
        keys, clock, users, _ = key_set(KeySource("url", server.url, refresh_s=60.0))
        assert not keys.use()
        await eventually_async(lambda: users.resumed == 1)
        assert keys.use()
        assert users.forgot == 1
        # A key that nobody knows: not at once again.
        assert not keys.miss()
        clock.advance(EARLY_S)
        assert keys.miss()
        assert keys.miss()
        await eventually_async(lambda: users.resumed == 2)
        assert (server.asked, users.forgot) == (2, 1)
        # Older than they should be: asked for, and used meanwhile. Much older: waited for.
        clock.advance(61)
        assert keys.use()
        assert keys.is_awaited
        await eventually_async(lambda: users.resumed == 3)
        clock.advance(121)
        assert not keys.use()
        server.raw = b"HTTP/1.1 500 Oops\r\n\r\n"
        await eventually_async(lambda: users.resumed == 4)
        # What cannot be fetched takes nothing away, and is asked for again after a pause.
        clock.advance(121)
        assert not keys.use()
        await eventually_async(lambda: users.resumed == 5)
        assert keys.use()
        assert not keys.miss()
        assert keys.keys is not None
        keys.close()


async def test_closed_in_the_middle_of_it() -> None:
    async with KeyServer(SET) as server:
        server.held.clear()
        keys, _, users, _ = key_set(KeySource("url", server.url))
        assert not keys.use()
        keys.close()
        await eventually_async(lambda: users.resumed == 1)
        assert keys.keys is None
        assert keys.use()
        await asyncio.sleep(0)


def test_texts_are_never_taken_for_code() -> None:
    hostile: dict[str, Any] = {"kty": "RSA\x1b[31m", "n": "\x00"}
    with pytest.raises(ValueError, match="a kind of key that is not taken") as caught:
        read_keys(json.dumps({"keys": [hostile]}).encode())
    assert "\x1b" not in str(caught.value)
