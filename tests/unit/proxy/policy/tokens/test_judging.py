"""Tokens that are sound, and every kind that is not: each line of a table is one way to cheat, or to be wrong."""

import json
from typing import Any

import pytest

from linkerd2_py.proxy.policy.kinds_of_tokens import KeySource, TokenKind
from linkerd2_py.proxy.policy.tokens import problems
from linkerd2_py.proxy.policy.tokens.judging import Judgement, judge
from linkerd2_py.proxy.policy.tokens.keys import Keys, read_keys
from tests.support.tokens import (
    AUDIENCE,
    BEGUN,
    ISSUER,
    b64,
    claims,
    jwk,
    jwks,
    key_for,
    sign,
    token,
)

KIND = TokenKind("login", ISSUER, KeySource("jwks", ""), audiences=(AUDIENCE,))
SOUND = None


def keys_of(*algorithms: str) -> Keys:
    return read_keys(jwks(*(jwk(key_for(one), kid=one) for one in algorithms)).encode())[0]


KEYS = keys_of("ES256", "RS256", "EdDSA")


def judged(text: str | bytes, kind: TokenKind = KIND, keys: Keys | None = KEYS) -> Judgement:
    raw = text.encode() if isinstance(text, str) else text
    return judge(raw, kind, keys, now=BEGUN)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS512", "EdDSA"])
def test_a_sound_one_holds_until_it_ends(algorithm: str) -> None:
    ends = BEGUN + 100
    found = judged(token(claims(exp=ends), algorithm=algorithm))
    assert found == Judgement(None, ends + KIND.leeway_s)


def header(**said: Any) -> str:
    return token(header={"alg": "ES256", **said})


HMAC = json.dumps({"alg": "HS256", "typ": "JWT"})
_first, _second, _third = token().split(".")


def spelled(text: str) -> str:
    """The last digit of base64url with bits set that say nothing."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + digits[digits.index(text[-1]) ^ 1]


HOSTILE: dict[str, tuple[str, str | None]] = {
    "no algorithm": (f"{b64(b'{}')}.{_second}.{_third}", problems.MALFORMED),
    "none": (f"{b64(json.dumps({'alg': 'none'}).encode())}.{_second}.AAAA", problems.ALGORITHM),
    "none, unsigned": (
        f"{b64(json.dumps({'alg': 'none'}).encode())}.{_second}.",
        problems.MALFORMED,
    ),
    "None": (f"{b64(json.dumps({'alg': 'NONE'}).encode())}.{_second}.AAAA", problems.ALGORITHM),
    "a public key as a secret": (f"{b64(HMAC.encode())}.{_second}.{_third}", problems.ALGORITHM),
    "another algorithm than its key's": (
        f"{b64(json.dumps({'alg': 'RS256', 'kid': 'ES256'}).encode())}.{_second}.{_third}",
        problems.KEY,
    ),
    "an algorithm that is a number": (header(alg=256), problems.MALFORMED),
    "an algorithm that is a list": (header(alg=["ES256"]), problems.MALFORMED),
    "another key": (token(key=key_for("ES256", "thief")), problems.SIGNATURE),
    "another key that it names": (
        token(key=key_for("ES256", "thief"), header={"alg": "ES256", "kid": "ES256"}),
        problems.SIGNATURE,
    ),
    "a key that nobody has": (header(kid="../../etc/passwd"), problems.KEY),
    "a key id that is SQL": (header(kid="' or 1=1 --"), problems.KEY),
    "a key id that is no text": (header(kid=1), problems.MALFORMED),
    "a key id that is long": (header(kid="k" * 600), problems.MALFORMED),
    "its own key": (
        token(
            key=key_for("ES256", "thief"),
            header={"alg": "ES256", "jwk": jwk(key_for("ES256", "thief"))},
        ),
        problems.SIGNATURE,
    ),
    "where its key is": (
        token(key=key_for("ES256", "thief"), header={"alg": "ES256", "jku": "http://127.0.0.1/"}),
        problems.SIGNATURE,
    ),
    "where its certificate is": (
        token(key=key_for("ES256", "thief"), header={"alg": "ES256", "x5u": "file:///"}),
        problems.SIGNATURE,
    ),
    "where its key is, and it is its own": (header(jku="http://127.0.0.1/"), SOUND),
    "an extension": (header(crit=["b64"], b64=False), problems.MALFORMED),
    "no extension at all": (header(crit=[]), problems.MALFORMED),
    "bytes as they are": (header(b64=True), problems.MALFORMED),
    "a token within": (header(cty="JWT"), problems.MALFORMED),
    "packed": (header(zip="DEF"), problems.MALFORMED),
    "padding": (f"{_first}=.{_second}.{_third}", problems.MALFORMED),
    "padding behind": (f"{_first}.{_second}.{_third}==", problems.MALFORMED),
    "plain base64": (f"{_first}.{_second}.+/{_third[2:]}", problems.MALFORMED),
    "another spelling": (f"{_first}.{_second}.{spelled(_third)}", problems.MALFORMED),
    "a dot behind": (f"{_first}.{_second}.{_third}.", problems.MALFORMED),
    "a dot before": (f".{_first}.{_second}.{_third}", problems.MALFORMED),
    "two parts": (f"{_first}.{_second}", problems.MALFORMED),
    "five parts": (f"{_first}.{_second}.{_third}.{_third}.{_third}", problems.MALFORMED),
    "dots": ("..", problems.MALFORMED),
    "white space within": (f"{_first}.{_second[:9]} {_second[9:]}.{_third}", problems.MALFORMED),
    "a line end behind": (f"{_first}.{_second}.{_third}\n", problems.MALFORMED),
    "a zero byte": (f"{_first}.{_second}.{_third}\0", problems.MALFORMED),
    "bytes above ASCII": (f"{_first}.{_second}.{_third}é", problems.MALFORMED),
    "no JSON": (token("sub=ada"), problems.MALFORMED),
    "a list": (token("[]"), problems.MALFORMED),
    "a header that is a text": (token(header='"ES256"'), problems.MALFORMED),
    "a mark before": (token(f"\ufeff{json.dumps(claims())}"), problems.MALFORMED),
    "something behind": (token(f"{json.dumps(claims())} {{}}"), problems.MALFORMED),
    "said twice": (token(f'{{"iss": "x", {json.dumps(claims())[1:]}'), problems.MALFORMED),
    "said twice, deep": (
        token(claims(a=1).__repr__().replace("'", '"')[:-1] + ', "b": {"c": 1, "c": 2}}'),
        problems.MALFORMED,
    ),
    "an algorithm said twice": (
        token(header='{"alg": "none", "alg": "ES256"}'),
        problems.MALFORMED,
    ),
    "nested": (token('{"a":' * 1000 + "1" + "}" * 1000), problems.MALFORMED),
    "nested lists": (token("[" * 5000), problems.MALFORMED),
    "a huge number": (token(f'{{"exp": {"9" * 5000}}}'), problems.MALFORMED),
    "no number": (token('{"exp": NaN}'), problems.MALFORMED),
    "no end": (token(claims(exp=None)), problems.MALFORMED),
    "an end that is a text": (token(claims(exp=str(BEGUN + 100))), problems.MALFORMED),
    "an end that is true": (token(claims(exp=True)), problems.MALFORMED),
    "an end that is nothing": (token(json.dumps({**claims(), "exp": None})), problems.MALFORMED),
    "an end before all time": (token(claims(exp=-1)), problems.MALFORMED),
    "an end after all time": (token(claims(exp=1e300)), problems.MALFORMED),
    "an end that is infinite": (
        token(json.dumps(claims(exp=7)).replace('"exp": 7', '"exp": 1e999')),
        problems.MALFORMED,
    ),
    "an end with a fraction": (token(claims(exp=BEGUN + 100.5)), SOUND),
    "over": (token(claims(exp=BEGUN - 61)), problems.EXPIRED),
    "over by less than clocks may differ": (token(claims(exp=BEGUN - 50)), SOUND),
    "not yet": (token(claims(nbf=BEGUN + 100)), problems.EARLY),
    "soon": (token(claims(nbf=BEGUN + 50)), SOUND),
    "given out tomorrow": (token(claims(iat=BEGUN + 86400)), problems.EARLY),
    "a beginning that is a text": (token(claims(nbf="0")), problems.MALFORMED),
    "of nobody": (token(claims(iss=None)), problems.ISSUER),
    "of another": (token(claims(iss=f"{ISSUER}/")), problems.ISSUER),
    "of several": (token(claims(iss=[ISSUER])), problems.ISSUER),
    "for nobody": (token(claims(aud=None)), problems.AUDIENCE),
    "for another": (token(claims(aud="shop2")), problems.AUDIENCE),
    "for several": (token(claims(aud=["other", AUDIENCE])), SOUND),
    "for no text": (token(claims(aud={AUDIENCE: 1})), problems.MALFORMED),
    "for texts and no text": (token(claims(aud=[AUDIENCE, 1])), problems.MALFORMED),
    "for an empty list": (token(claims(aud=[])), problems.AUDIENCE),
    "signed by a key for something else": (
        token(algorithm="ES384", key=key_for("ES384")),
        problems.KEY,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tokens(name: str) -> None:
    text, expected = HOSTILE[name]
    assert judged(text).problem == expected


def test_only_algorithms_that_are_taken() -> None:
    kind = KIND._replace(algorithms=("RS256",))
    assert judged(token(), kind).problem == problems.ALGORITHM
    assert judged(token(algorithm="RS256"), kind).problem is SOUND
    assert (
        judged(token(algorithm="PS256", key=key_for("RS256")), kind).problem == problems.ALGORITHM
    )


def test_a_key_for_one_algorithm_is_for_no_other() -> None:
    keys, _ = read_keys(jwks(jwk(key_for("RS256"), alg="RS256")).encode())
    assert judged(token(algorithm="RS256"), keys=keys).problem is SOUND
    assert judged(token(algorithm="PS256", key=key_for("RS256")), keys=keys).problem == problems.KEY


def test_of_keys_without_names_each_is_tried() -> None:
    keys, _ = read_keys(jwks(jwk(key_for("ES256", "old")), jwk(key_for("ES256"))).encode())
    assert judged(token(), keys=keys).problem is SOUND
    assert judged(token(header={"alg": "ES256", "kid": "x"}), keys=keys).problem is SOUND
    assert judged(token(key=key_for("ES256", "x")), keys=keys).problem == problems.SIGNATURE


def test_without_keys_nobody_passes() -> None:
    assert judged(token(), keys=None).problem == problems.NO_KEYS


@pytest.mark.parametrize(
    ("said", "value", "sound"),
    [
        ("admin", "admin", True),
        ("staff", "admin", False),
        (["staff", "admin"], "admin", True),
        (["staff"], "admin", False),
        ([], "admin", False),
        (True, "true", True),
        (7, "7", True),
        (7.0, "7", False),
        (None, "None", False),
        ({"admin": 1}, "admin", False),
        ([["admin"]], "admin", False),
    ],
)
def test_what_a_token_must_say(said: Any, value: str, sound: bool) -> None:
    kind = KIND._replace(claims=(("role", (value, "root")),))
    expected = SOUND if sound else problems.CLAIMS
    assert judged(token(claims(role=said)), kind).problem == expected


def test_words_of_a_scope_and_claims_within_claims() -> None:
    kind = KIND._replace(claims=(("scope", ("write",)), ("realm.roles", ("admin",))))
    said = claims(scope="read write", realm={"roles": ["admin"]})
    assert judged(token(said), kind).problem is SOUND
    assert judged(token(said | {"scope": "read rewrite"}), kind).problem == problems.CLAIMS
    assert judged(token(said | {"realm": "roles"}), kind).problem == problems.CLAIMS
    dotted = said | {"realm.roles": "other"}
    assert judged(token(dotted), kind).problem == problems.CLAIMS


def test_who_is_not_sound_is_not_told_what_is_missing() -> None:
    kind = KIND._replace(claims=(("role", ("admin",)),))
    assert judged(token(key=key_for("ES256", "x")), kind).problem == problems.SIGNATURE


def test_what_the_workload_is_told() -> None:
    told = (("sub", "x-user"), ("roles", "x-roles"), ("n", "x-n"), ("ok", "x-ok"), ("o", "x-o"))
    kind = KIND._replace(told=told)
    said = claims(roles=["a", "b"], n=7, ok=False, o={"a": 1})
    assert judged(token(said), kind).fields == (
        (b"x-user", b"ada"),
        (b"x-roles", b"a,b"),
        (b"x-n", b"7"),
        (b"x-ok", b"false"),
    )


@pytest.mark.parametrize(
    "sub",
    ["a\r\nx-admin: 1", "a\0", "", " a", "a" * 5000, "\ud800", ["a", "b,c"], ["a", 1.5], [], 1.5],
)
def test_what_no_field_can_have_is_not_told(sub: Any) -> None:
    kind = KIND._replace(told=(("sub", "x-user"),))
    found = judged(token(claims(sub=sub)), kind)
    assert (found.problem, found.fields) == (None, ())


def test_a_token_is_bound_to_what_is_signed() -> None:
    first, second, _ = token().split(".")
    for signed in (f"{first}.{second}.", f"{second}.{first}", first):
        signature = b64(sign("ES256", key_for("ES256"), signed.encode()))
        assert judged(f"{first}.{second}.{signature}").problem == problems.SIGNATURE
