"""What may be watched, and what is refused before anybody is asked."""

import json
import re
from typing import Any

import pytest

from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.refusals import BadRequestError
from linkerd2_py.controlplane.tap.request import LARGEST_BODY_BYTES, TapRequest


def read(**said: Any) -> TapRequest:
    return TapRequest.read(json.dumps(said).encode())


def test_a_request_is_read_by_the_words_of_the_public_api() -> None:
    request = read(
        type="deploy",
        name="web",
        namespace="emojivoto",
        to_type="svc",
        to_name="voting-svc",
        max_rps=2,
        method="POST",
        authority="voting-svc:8080",
        path="/emojivoto.v1.",
        scheme="http",
        headers=True,
        label_selector="app=web",
    )
    assert request == TapRequest(
        kind=Kind.DEPLOYMENT,
        name="web",
        namespace="emojivoto",
        to_kind=Kind.SERVICE,
        to_name="voting-svc",
        max_rps=2.0,
        method="POST",
        authority="voting-svc:8080",
        path="/emojivoto.v1.",
        scheme="http",
        headers=True,
        label_selector="app=web",
    )
    assert TapRequest.of(request.said()) == request


def test_what_goes_without_saying_is_not_said() -> None:
    assert TapRequest(kind=Kind.POD, namespace="a").said() == {"type": "pod", "namespace": "a"}
    assert read(type="po", name="", max_rps=0, method=None) == TapRequest(kind=Kind.POD)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, "type is missing"),
        ({"type": "svc"}, "unsupported resource type"),
        ({"type": "au"}, "unsupported resource type"),
        ({"type": "all"}, "unsupported resource type"),
        ({"type": "unicorn"}, "cannot find Kubernetes canonical name"),
        ({"type": 3}, "type: must be text"),
        ({"type": "po", "to_type": "au"}, "to: unsupported resource type"),
        ({"type": "po", "to_name": "web"}, "to: of which type"),
        ({"type": "po", "color": "red"}, "'color' is not known: use type, name"),
        ({"type": "po", "name": "a/b"}, "name: not a name"),
        ({"type": "po", "name": "a\x1b[2J"}, "name: not a name"),
        ({"type": "po", "name": "a" * 254}, "name: not a name"),
        ({"type": "po", "name": 1}, "name: must be text"),
        ({"type": "po", "path": "/\n"}, "path: cannot be"),
        ({"type": "po", "path": "/" * 2001}, "path: cannot be"),
        ({"type": "po", "method": "GET /"}, "method: 'GET /' is not a method"),
        ({"type": "po", "max_rps": -1}, "max_rps: must be above 0"),
        ({"type": "po", "max_rps": 1e300}, "max_rps: must be above 0"),
        ({"type": "po", "max_rps": 10**400}, "max_rps: must be above 0"),
        ({"type": "po", "max_rps": float("nan")}, "max_rps: must be above 0"),
        ({"type": "po", "max_rps": True}, "max_rps: must be a number"),
        ({"type": "po", "max_rps": "1"}, "max_rps: must be a number"),
        ({"type": "po", "headers": "yes"}, "headers: must be true or false"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRequestError, match=re.escape(reason)) as refused:
        read(**said)
    assert refused.value.status == 400
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"{", b"[" * 50_000, b"\xff", b" " * (LARGEST_BODY_BYTES + 1)]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        TapRequest.read(body)
