"""Tokens and sets of keys of any bytes: nothing raises, and what one reads another library reads alike."""

import json
import socket
from contextlib import suppress
from http.client import HTTPException, HTTPResponse

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.proxy.pod.fetch import document_of
from linkerd2_py.proxy.policy.kinds_of_tokens import KeySource, TokenKind
from linkerd2_py.proxy.policy.tokens.judging import judge
from linkerd2_py.proxy.policy.tokens.keys import read_keys
from linkerd2_py.proxy.policy.tokens.problems import PROBLEMS
from tests.support.tokens import BEGUN, ISSUER, b64, claims, jwk, jwks, key_for, token

KINDS = (
    TokenKind("any", ISSUER, KeySource("jwks", "")),
    TokenKind(
        "more",
        ISSUER,
        KeySource("jwks", ""),
        audiences=("shop",),
        claims=(("role", ("admin",)),),
        told=(("sub", "x-user"), ("a.b", "x-b")),
    ),
)
KEYS = read_keys(jwks(*(jwk(key_for(one)) for one in ("ES256", "RS256", "EdDSA"))).encode())[0]
SOUND = token().encode()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "role", "a", "a.b"])


@given(st.binary(max_size=200) | st.text(alphabet="eyJ._-=A", max_size=60).map(str.encode))
def test_any_bytes(raw: bytes) -> None:
    for kind in KINDS:
        assert judge(raw, kind, KEYS, now=BEGUN).problem in PROBLEMS


@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255))
def test_no_byte_can_be_another(at: int, byte: int) -> None:
    changed = SOUND[:at] + bytes([byte]) + SOUND[at + 1 :]
    assert (judge(changed, KINDS[0], KEYS, now=BEGUN).problem is None) == (changed == SOUND)


@given(st.dictionaries(NAMES, VALUES))
def test_any_claims_that_are_signed(said: dict[str, object]) -> None:
    text = json.dumps({**claims(), **said})
    for kind in KINDS:
        found = judge(token(text).encode(), kind, KEYS, now=BEGUN)
        assert found.problem is None or found.problem in PROBLEMS
        for _, value in found.fields:
            assert not {0, 10, 13} & set(value)
            assert value


@given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "typ", "jku", "cty"]), VALUES))
def test_any_header(said: dict[str, object]) -> None:
    _, second, third = SOUND.decode().split(".")
    header = b64(json.dumps(said).encode())
    assert judge(f"{header}.{second}.{third}".encode(), KINDS[0], KEYS, now=BEGUN).problem


@given(st.binary(max_size=200) | VALUES.map(lambda said: json.dumps({"keys": [said]}).encode()))
def test_any_set_of_keys(text: bytes) -> None:
    try:
        keys, _ = read_keys(text)
    except ValueError:
        return
    assert len(keys)


@given(st.binary(max_size=100))
def test_any_answer_of_a_server(raw: bytes) -> None:
    for head in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"):
        with suppress(OSError, ValueError, HTTPException):
            assert 0 < len(_document_in(head + raw)) <= len(raw)


def _document_in(raw: bytes) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(ours)
        with answer:
            answer.begin()
            return document_of(answer)
