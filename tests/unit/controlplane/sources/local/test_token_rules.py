"""What `jwt` of a policy may say in a mesh.yaml: each mistake by its line and field. What it means is in
tests/contract/source/policies/jwt.yaml, beside its equal in a cluster.
"""

import pytest

from linkerd2_py.controlplane.mesh.policy import AuthorizationPolicy
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.sources.local.mesh_file import MeshFileError, parse_mesh

MESH = """\
services:
  web:
    workload: web
    port: 80
    policy: {jwt: {login: {issuer: a, keys: "http://keys/", %s}}, allow: [{jwt: login}]}
workloads: {web: {command: [web]}}
"""
FIELDS = "issuer, audiences, keys, header, forward, algorithms, leeway, refresh, claims, headers"
PROBLEMS = [
    ("aud: a", f"aud: is not a known field; known are: {FIELDS}"),
    ("audiences: ['']", "audiences[0]: must not be empty"),
    ("header: content-length", "header: 'content-length' is no header that is anybody's to say"),
    ("header: l5d-client-id", "header: 'l5d-client-id' is no header that is anybody's to say"),
    ("forward: maybe", "forward: must be true or false, not 'maybe'"),
    (
        "algorithms: [HS256]",
        "algorithms[0]: 'HS256' is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384",
    ),
    ("algorithms: [none]", "algorithms[0]: 'none' is none of RS256"),
    ("leeway: 11m", "leeway: must not be longer than 10m"),
    ("leeway: -1s", "leeway: must be a time such as 300ms, 10s or 2m, not '-1s'"),
    ("refresh: often", "refresh: must be a time such as 300ms, 10s or 2m, not 'often'"),
    ("claims: [role]", "claims: must be a mapping, not a list"),
    ("claims: {role: ''}", "claims.role: must not be empty"),
    ("headers: {Host: sub}", "headers.Host: 'Host' is no header that is anybody's to say"),
    ("headers: {Authorization: sub}", "headers.Authorization: authorization is where tokens stand"),
]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(MeshFileError) as caught:
        parse_mesh(text, source="mesh.yaml")
    return caught.value.problems


@pytest.mark.parametrize(("words", "problem"), PROBLEMS)
def test_mistakes_are_named(words: str, problem: str) -> None:
    (found,) = problems(MESH % words)
    assert found.startswith(f"mesh.yaml:5: services.web.policy.jwt.login.{problem}")


KEYS = [
    ("ftp://a", "'ftp://a' is no URL of http or https"),
    ("'https://a:b@c/'", "'https://a:b@c/' is no URL of http or https"),
    ("{file: keys.json}", "file: must be the whole path of a file, such as /etc/keys.json"),
    ("{inline: x}", "inline: is no JSON"),
    (
        "{inline: '{\"keys\": []}'}",
        "inline: has no public key that can verify tokens: RSA, EC or OKP",
    ),
    (
        '{inline: \'{"keys": [{"kty": "RSA", "d": "x"}]}\'}',
        "inline: has a private key in it: only the public half belongs here",
    ),
    ("{url: 'http://a/', file: /b}", "must be one of url, file, inline"),
    ("{}", "must say something: url, file, inline"),
    ("{path: /a}", "path: is not a known field; known are: url, file, inline"),
]


@pytest.mark.parametrize(("keys", "problem"), KEYS)
def test_mistakes_of_keys_are_named(keys: str, problem: str) -> None:
    (found,) = problems((MESH % "forward: true").replace('"http://keys/"', keys))
    colon = "" if problem.partition(":")[0] in {"file", "inline", "path"} else ": "
    dot = "" if colon else "."
    assert found.startswith(f"mesh.yaml:5: services.web.policy.jwt.login.keys{colon}{dot}{problem}")


def test_what_is_missing() -> None:
    text = MESH.replace('issuer: a, keys: "http://keys/", %s', "forward: true")
    assert [one.rpartition("login.")[2] for one in problems(text)] == [
        "issuer: is missing",
        "keys: is missing",
    ]


def test_an_unknown_name_and_tokens_that_nobody_needs() -> None:
    (unknown, idle) = problems((MESH % "forward: true").replace("{jwt: login}", "{jwt: logon}"))
    assert unknown.endswith("allow[0].jwt: no tokens are called 'logon'; there are: login")
    assert idle.endswith("jwt.login: is asked for by no allow: write {jwt: NAME} there")


def test_each_service_has_tokens_of_its_own() -> None:
    found = parse_mesh(MESH % "forward: true", source="mesh.yaml").policies
    (tokens,) = (one for one in found if isinstance(one, JWTAuthentication))
    (policy,) = (one for one in found if isinstance(one, AuthorizationPolicy))
    assert tokens.name == "web-login"
    assert policy.requires is not None
    assert [(one.kind, one.name) for one in policy.requires] == [("JWTAuthentication", "web-login")]
