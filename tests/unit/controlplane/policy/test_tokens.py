"""JWTAuthentications: which are refused and by which field, what nobody passes, and who is told of them."""

import json
from typing import Any

import pytest

from linkerd2_py.controlplane.mesh.policy import AuthorizationPolicy
from linkerd2_py.controlplane.policy.admission.review import answer
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.inbound import authorizations
from linkerd2_py.controlplane.policy.inbound.messages import authorization_messages
from linkerd2_py.controlplane.policy.inbound.reading import Reading
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.sources.kubernetes.policy import (
    read_authorization_policy,
    read_server,
)
from linkerd2_py.controlplane.sources.kubernetes.tokens import read_jwt_authentication
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from tests.support.as_listed import listed

GROUP = "policy.linkerd2-py.io"
SET = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "eA"}]})
SOUND: dict[str, Any] = {"issuer": "https://login.example", "jwks": SET}
TOKEN_REF = {"group": GROUP, "kind": "JWTAuthentication", "name": "login"}
META = {"namespace": "shop", "name": "login"}


def refused(spec: dict[str, Any], *, kind: str = "JWTAuthentication", group: str = GROUP) -> str:
    request = {
        "uid": "u",
        "kind": {"group": group, "kind": kind},
        "namespace": "shop",
        "name": "login",
        "object": {"metadata": {"name": "login"}, "spec": spec},
    }
    response = answer({"request": request})["response"]
    return "" if response["allowed"] else str(response["status"]["message"])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"issuer": ""}, "spec.issuer: must be said"),
    ({"jwks": None}, "spec: exactly one of jwks and jwksUri must be said"),
    ({"jwksUri": "https://a/"}, "spec: exactly one of jwks and jwksUri must be said"),
    ({"jwks": "{}"}, "spec.jwks: must be an object with a list of keys"),
    ({"jwks": None, "jwksUri": "file:///etc"}, "spec.jwksUri: 'file:///etc' is no URL"),
    ({"jwks": None, "jwksUri": "https://a:99999/"}, "spec.jwksUri: 'https://a:99999/' is no URL"),
    ({"algorithms": ["ES256", "none"]}, "spec.algorithms[1]: 'none' is none of"),
    ({"fromHeader": "te"}, "spec.fromHeader: 'te' is no header"),
    ({"fromHeader": "a b"}, "spec.fromHeader: 'a b' is no header"),
    ({"leeway": "11m"}, "spec.leeway: must not be longer than 10m"),
    ({"leeway": "-1s"}, "spec.leeway: '-1s' must not be negative"),
    ({"refreshInterval": "5"}, "spec.refreshInterval: '5' is no duration"),
    ({"audiences": ["a", ""]}, "spec.audiences[1]: must not be empty"),
    ({"claims": [{"name": "role", "values": []}]}, "spec.claims[0].values: at least one"),
    ({"claims": [{"values": ["a"]}]}, "spec.claims[0].name: must be said"),
    (
        {"claimToHeaders": [{"claim": "sub", "header": "Authorization"}]},
        "spec.claimToHeaders[0].header: authorization is where tokens stand",
    ),
    (
        {"claimToHeaders": [{"claim": "sub", "header": "L5D-client-id"}]},
        "spec.claimToHeaders[0].header: 'L5D-client-id' is no header",
    ),
]


def test_a_sound_one_is_taken_and_understood() -> None:
    assert refused(SOUND) == ""
    assert read_jwt_authentication({"metadata": META, "spec": SOUND}).tokens is not None


@pytest.mark.parametrize(("more", "problem"), REFUSED)
def test_what_cannot_be_is_refused_by_its_field(more: dict[str, Any], problem: str) -> None:
    assert refused(SOUND | more).startswith(problem)


@pytest.mark.parametrize(
    "more",
    [more for more, _ in REFUSED if more != {"leeway": "11m"}]
    + [{"new": 1}, {"audiences": ["a", 1]}, {"claims": [{"name": "a", "values": ["a", 1]}]}],
)
def test_what_is_not_refused_by_a_webhook_that_is_away_is_passed_by_nobody(
    more: dict[str, Any],
) -> None:
    assert read_jwt_authentication({"metadata": META, "spec": SOUND | more}).tokens is None


def test_a_policy_requires_one_token_at_most() -> None:
    policy = {
        "targetRef": {"group": "policy.linkerd.io", "kind": "Server", "name": "web"},
        "requiredAuthenticationRefs": [TOKEN_REF, {"kind": "ServiceAccount", "name": "a"}],
    }
    about = {"kind": "AuthorizationPolicy", "group": "policy.linkerd.io"}
    assert refused(policy, **about) == ""
    twice = policy | {"requiredAuthenticationRefs": [TOKEN_REF, TOKEN_REF]}
    assert "[1]: a second JWTAuthentication" in refused(twice, **about)
    # One of the same name of somebody else's group is none.
    other = policy | {"requiredAuthenticationRefs": [TOKEN_REF | {"group": "policy.linkerd.io"}]}
    assert "is no authentication" in refused(other, **about)


def messages(*, tokens: bool, spec: dict[str, Any] = SOUND) -> list[inbound.Authz]:
    server = {
        "kind": "Server",
        "apiVersion": "policy.linkerd.io/v1beta3",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"podSelector": {}, "port": 80},
    }
    policy = {
        "kind": "AuthorizationPolicy",
        "apiVersion": "policy.linkerd.io/v1alpha1",
        "metadata": {"namespace": "shop", "name": "some"},
        "spec": {
            "targetRef": {"group": "policy.linkerd.io", "kind": "Server", "name": "web"},
            "requiredAuthenticationRefs": [TOKEN_REF],
        },
    }
    token = {
        "kind": "JWTAuthentication",
        "apiVersion": f"{GROUP}/v1alpha1",
        "metadata": META,
        "spec": spec,
    }
    mesh = listed([server, policy, token]).mesh
    assert isinstance(read_authorization_policy(policy), AuthorizationPolicy)
    reading = Reading(mesh, cluster=Cluster(), tokens=tokens)
    found = authorizations.of_server(read_server(server), reading=reading)
    return authorization_messages(found, settings=Settings())


def test_only_who_checks_tokens_is_told_of_them() -> None:
    (told,) = messages(tokens=True)
    assert told.authentication.jwt.issuer == "https://login.example"
    assert messages(tokens=False) == []
    assert messages(tokens=True, spec=SOUND | {"new": 1}) == []


def test_who_does_not_know_tokens_knows_of_no_way_in() -> None:
    """Should it come to such a proxy in spite of that: without our field nothing is permitted."""
    (told,) = messages(tokens=True)
    told.authentication.ClearField("jwt")
    assert told.authentication.WhichOneof("permit") is None
