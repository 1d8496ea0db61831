"""ExternalAuthorizations as they come: what is not understood whole lets nobody in."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import Authentication, ExternalAuthorization
from linkerd2_py.controlplane.sources.kubernetes.external_authorizations import (
    read_external_authorization,
)
from linkerd2_py.controlplane.sources.kubernetes.policy import read_authorization_policy

ABSURD: list[Any] = [None, 1, "x", [], {}, [None], {"a": None}]


def found(spec: object) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "opa"}, "spec": spec}


def said(**more: Any) -> dict[str, Any]:
    return found({"service": {"name": "opa", "port": 9191}, **more})


def test_what_one_says() -> None:
    assert read_external_authorization(said()) == ExternalAuthorization(
        "shop", "opa", Key("shop", "opa"), 9191
    )
    spec = {
        "service": {"name": "opa", "namespace": "auth", "port": 1},
        "timeout": "1s",
        "failOpen": True,
        "statusOnError": 403,
        "contextExtensions": {"a": "b"},
    }
    assert read_external_authorization(found(spec)) == ExternalAuthorization(
        "shop",
        "opa",
        Key("auth", "opa"),
        1,
        timeout_s=1.0,
        fail_open=True,
        status_on_error=403,
        extensions={"a": "b"},
    )


@pytest.mark.parametrize(
    "wrong",
    [
        *map(found, ABSURD),
        *(found({"service": one}) for one in ABSURD),
        said(timeout="soon"),
        said(timeout="-1s"),
        said(timeout="61s"),
        said(failOpen="yes"),
        said(statusOnError=200),
        said(statusOnError="403"),
        found({"service": {"name": "opa", "port": 65536}}),
    ],
)
def test_what_cannot_be_understood_is_asked_nowhere(wrong: dict[str, Any]) -> None:
    assert read_external_authorization(wrong).service is None


def test_a_policy_requires_one() -> None:
    ref = {"group": "policy.linkerd2-py.io", "kind": "ExternalAuthorization", "name": "opa"}
    spec = {
        "targetRef": {"group": "policy.linkerd.io", "kind": "Server", "name": "web"},
        "requiredAuthenticationRefs": [ref],
    }
    (only,) = read_authorization_policy(found(spec)).requires or ()
    assert only == Authentication("ExternalAuthorization", "shop", "opa")
