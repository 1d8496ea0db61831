"""What may become an object of the mesh, and which field is named where it may not.

The cases are those that Linkerd's policy controller is tested with, and what else proxies could not do.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkerd2_py.controlplane.policy.admission.review import answer

POLICY = "policy.linkerd.io"
GATEWAY = "gateway.networking.k8s.io"
SERVER = {"podSelector": {}, "port": 80}
ON_SERVER = {"group": POLICY, "kind": "Server", "name": "web"}
MESH_TLS = {"group": POLICY, "kind": "MeshTLSAuthentication", "name": "a"}
NETWORK = {"group": POLICY, "kind": "NetworkAuthentication", "name": "b"}
ACCOUNT = {"kind": "ServiceAccount", "name": "c", "namespace": "d"}
EGRESS = {"group": POLICY, "kind": "EgressNetwork", "name": "all"}
SERVICE = {"group": "core", "kind": "Service", "name": "web", "port": 80}
UNSET: dict[str, str] = {}


def reviewed(
    kind: str, spec: Any, *, annotations: dict[str, str] = UNSET, namespace: str = "shop"
) -> str:
    """Why it is refused; empty where it is not."""
    name, _, group = kind.partition(".")
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": group, "version": "v1", "kind": name},
            "namespace": namespace,
            "name": "it",
            "object": {"metadata": {"name": "it", "annotations": annotations}, "spec": spec},
        },
    }
    response = answer(review)["response"]
    assert response["uid"] == "u-1"
    assert response["allowed"] == ("status" not in response)
    if response["allowed"]:
        return ""
    assert response["status"]["code"] == 422
    return str(response["status"]["message"])


def policy(*refs: dict[str, str], target: Any = ON_SERVER) -> dict[str, Any]:
    return {"targetRef": target, "requiredAuthenticationRefs": list(refs)}


def networks(cidr: str, *excepted: str) -> dict[str, Any]:
    return {"networks": [{"cidr": cidr, "except": list(excepted)}]}


def route(**rule: Any) -> dict[str, Any]:
    return {"parentRefs": [SERVICE], "rules": [rule]}


def match(**said: Any) -> dict[str, Any]:
    return route(matches=[said])


def limit(total: int, identity: int = 1, override: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "targetRef": ON_SERVER,
        "total": {"requestsPerSecond": total},
        "identity": {"requestsPerSecond": identity},
        "overrides": [{"requestsPerSecond": override, "clientRefs": [ACCOUNT]}],
        **more,
    }


def filtered(kind: str, **said: Any) -> dict[str, Any]:
    return route(filters=[{"type": kind, **said}])


REDIRECT = {"type": "ReplaceFullPath", "replaceFullPath": "/new"}
STRIPPED = {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}

EXTENSION = "policy.linkerd2-py.io"
ASKED = {"group": EXTENSION, "kind": "ExternalAuthorization", "name": "opa"}


def authorizer(**said: Any) -> dict[str, Any]:
    return {"service": {"name": "opa", "port": 9191}, **said}


TAKEN: list[tuple[str, Any]] = [
    (f"AuthorizationPolicy.{POLICY}", policy(ASKED)),
    (f"AuthorizationPolicy.{POLICY}", policy(MESH_TLS, NETWORK, ASKED)),
    (f"ExternalAuthorization.{EXTENSION}", authorizer()),
    (
        f"ExternalAuthorization.{EXTENSION}",
        authorizer(timeout="1s", failOpen=True, statusOnError=403, contextExtensions={"a": "b"}),
    ),
    (f"Server.{POLICY}", SERVER),
    (f"Server.{POLICY}", {**SERVER, "port": "http", "accessPolicy": "audit"}),
    (f"Server.{POLICY}", {**SERVER, "proxyProtocol": "TLS"}),
    (f"ServerAuthorization.{POLICY}", {"client": {"unauthenticated": True}}),
    (f"ServerAuthorization.{POLICY}", {"client": {"meshTLS": {"unauthenticatedTLS": True}}}),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": {**networks("10.1.0.0/24", "10.1.0.1"), "meshTLS": {"identities": ["*.a"]}}},
    ),
    (f"ServerAuthorization.{POLICY}", {"client": networks("10.1.0.1")}),
    (f"AuthorizationPolicy.{POLICY}", policy()),
    (f"AuthorizationPolicy.{POLICY}", policy(MESH_TLS, NETWORK)),
    (f"AuthorizationPolicy.{POLICY}", policy(ACCOUNT)),
    (f"AuthorizationPolicy.{POLICY}", policy(target={"kind": "Namespace", "name": "shop"})),
    (f"AuthorizationPolicy.{POLICY}", policy(target={**ON_SERVER, "kind": "HTTPRoute"})),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(target={"group": GATEWAY, "kind": "GRPCRoute", "name": "r"}),
    ),
    (f"MeshTLSAuthentication.{POLICY}", {"identities": ["*", "a.b", "*.a.b"]}),
    (f"MeshTLSAuthentication.{POLICY}", {"identities": ["spiffe://td", "spiffe://td/a/B_1"]}),
    (
        f"MeshTLSAuthentication.{POLICY}",
        {"identityRefs": [ACCOUNT, {"kind": "Namespace", "name": "x"}]},
    ),
    (f"NetworkAuthentication.{POLICY}", networks("10.1.0.0/24", "10.1.0.128/25")),
    (f"NetworkAuthentication.{POLICY}", networks("fd00::/8", "fd00::1")),
    # Bits beyond the prefix are no matter.
    (f"NetworkAuthentication.{POLICY}", networks("10.1.0.7/24")),
    (f"EgressNetwork.{POLICY}", {"trafficPolicy": "Allow"}),
    (f"EgressNetwork.{POLICY}", {"trafficPolicy": "Deny", **networks("8.0.0.0/8")}),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(100, 10, 100)),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", {"targetRef": ON_SERVER}),
    (f"HTTPRoute.{POLICY}", match(path={"type": "PathPrefix", "value": "/"})),
    (f"HTTPRoute.{POLICY}", match(path={"type": "RegularExpression", "value": "a.*"})),
    (f"HTTPRoute.{POLICY}", {"parentRefs": [{**EGRESS, "port": 555}]}),
    (f"HTTPRoute.{POLICY}", filtered("RequestRedirect", requestRedirect={"path": REDIRECT})),
    (f"HTTPRoute.{GATEWAY}", filtered("RequestRedirect", requestRedirect={"path": STRIPPED})),
    (f"HTTPRoute.{POLICY}", route(timeouts={"request": "3s", "backendRequest": "1s"})),
    (f"HTTPRoute.{POLICY}", route(backendRefs=[{"name": "web"}])),
    (f"HTTPRoute.{GATEWAY}", filtered("RequestMirror", requestMirror={"backendRef": {}})),
    (f"HTTPRoute.{GATEWAY}", filtered("URLRewrite", urlRewrite={"hostname": "a"})),
    (f"HTTPRoute.{GATEWAY}", filtered("ExtensionRef", extensionRef={"kind": "X"})),
    (f"HTTPRoute.{GATEWAY}", route(backendRefs=[{"name": "x", "group": "a.b", "kind": "B"}])),
    (f"HTTPRoute.{GATEWAY}", route(backendRefs=[{"name": "web", "port": 80}])),
    # Who knows what another controller makes of it.
    (f"HTTPRoute.{GATEWAY}", {"rules": "none"}),
    (f"GRPCRoute.{GATEWAY}", match(method={"service": "a.B", "method": "C"})),
    (f"TCPRoute.{GATEWAY}", {"parentRefs": [{**EGRESS, "port": 5}], "rules": [{}]}),
    (f"TLSRoute.{GATEWAY}", {"parentRefs": [{**EGRESS, "port": 5}], "rules": [{}]}),
    ("ServiceProfile.linkerd.io", {}),
    (
        "ServiceProfile.linkerd.io",
        {
            "routes": [
                {
                    "name": "a",
                    "condition": {"all": [{"not": {"method": "POST"}}, {"pathRegex": "/b/[^/]*"}]},
                    "timeout": "300ms",
                    "responseClasses": [{"condition": {"status": {"min": 500, "max": 599}}}],
                }
            ],
            "retryBudget": {"retryRatio": 0.2, "minRetriesPerSecond": 1, "ttl": "10s"},
        },
    ),
]

REFUSED: list[tuple[str, Any, str]] = [
    (f"AuthorizationPolicy.{POLICY}", policy(ASKED, ASKED), "spec.requiredAuthenticationRefs[1]"),
    (f"ExternalAuthorization.{EXTENSION}", {}, "spec.service.name"),
    (f"ExternalAuthorization.{EXTENSION}", {"service": {"name": "opa"}}, "spec.service.port"),
    (f"ExternalAuthorization.{EXTENSION}", authorizer(timeout="soon"), "spec.timeout"),
    (f"ExternalAuthorization.{EXTENSION}", authorizer(timeout="0s"), "spec.timeout"),
    (f"ExternalAuthorization.{EXTENSION}", authorizer(timeout="2m"), "spec.timeout"),
    (f"ExternalAuthorization.{EXTENSION}", authorizer(failOpen="no"), "spec.failOpen"),
    (f"ExternalAuthorization.{EXTENSION}", authorizer(statusOnError=200), "spec.statusOnError"),
    (
        f"ExternalAuthorization.{EXTENSION}",
        authorizer(contextExtensions={"a": 1}),
        "spec.contextExtensions.a",
    ),
    (f"Server.{POLICY}", {**SERVER, "port": 0}, "spec.port"),
    (f"Server.{POLICY}", {**SERVER, "port": 65536}, "spec.port"),
    (f"Server.{POLICY}", {**SERVER, "port": ""}, "spec.port"),
    (f"Server.{POLICY}", {**SERVER, "port": True}, "spec.port"),
    (f"Server.{POLICY}", {**SERVER, "proxyProtocol": "garbanzo"}, "spec.proxyProtocol"),
    (f"Server.{POLICY}", {**SERVER, "accessPolicy": "foobar"}, "spec.accessPolicy"),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": {"unauthenticated": True, "meshTLS": {"identities": ["*"]}}},
        "spec.client.unauthenticated",
    ),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": {"meshTLS": {"unauthenticatedTLS": True, "identities": ["*"]}}},
        "spec.client.meshTLS.unauthenticatedTLS",
    ),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": {"meshTLS": {"identities": ["a..b"]}}},
        "spec.client.meshTLS.identities[0]",
    ),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": networks("10.1.0.0/24", "10.1.0.0/24")},
        "spec.client.networks[0].except[0]",
    ),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": networks("10.1.0.0/24", "10.1.1.0/24")},
        "spec.client.networks[0].except[0]",
    ),
    (
        f"ServerAuthorization.{POLICY}",
        {"client": networks("10.1.0.0/1024")},
        "spec.client.networks[0].cidr",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(target={"kind": "Namespace", "name": "foobar"}),
        "spec.targetRef.name",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(target={"group": "apps", "kind": "Deployment", "name": "web"}),
        "spec.targetRef",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(target={**ON_SERVER, "kind": "GRPCRoute"}),
        "spec.targetRef",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(MESH_TLS, MESH_TLS),
        "spec.requiredAuthenticationRefs[1]",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(ACCOUNT, MESH_TLS),
        "spec.requiredAuthenticationRefs[1]",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy(NETWORK, ACCOUNT, NETWORK),
        "spec.requiredAuthenticationRefs[2]",
    ),
    (
        f"AuthorizationPolicy.{POLICY}",
        policy({"kind": "Pod", "name": "a"}),
        "spec.requiredAuthenticationRefs[0]",
    ),
    *(
        (f"MeshTLSAuthentication.{POLICY}", {"identities": [written]}, "spec.identities[0]")
        for written in (
            "system.local.*",
            "system.local.",
            ".system.local",
            "http://domain.test/path",
            "spiffe:///path",
            "spiffe:path",
            "spiffe://domain.test/path?query=",
            "spiffe://domain.test:8080/path",
            "spiffe://user@test.org/path",
            "spiffe://test.org/",
            "spiffe://test.org//",
            "spiffe://test.org/./other",
            "spiffe://test.org/../other",
            "spiffe://Test.org",
        )
    ),
    (
        f"MeshTLSAuthentication.{POLICY}",
        {"identityRefs": [{"kind": "Namespace", "name": "a", "namespace": "b"}]},
        "spec.identityRefs[0].namespace",
    ),
    (
        f"MeshTLSAuthentication.{POLICY}",
        {"identityRefs": [{"kind": "Pod", "name": "a"}]},
        "spec.identityRefs[0]",
    ),
    (f"NetworkAuthentication.{POLICY}", {"networks": []}, "spec.networks"),
    (f"NetworkAuthentication.{POLICY}", networks("10.1.0.0/255.0.0.0"), "spec.networks[0].cidr"),
    (f"NetworkAuthentication.{POLICY}", networks(""), "spec.networks[0].cidr"),
    (f"NetworkAuthentication.{POLICY}", networks("10.0.0.0/8", "x"), "spec.networks[0].except[0]"),
    (
        f"NetworkAuthentication.{POLICY}",
        networks("10.0.0.0/8", "fd00::1"),
        "spec.networks[0].except[0]",
    ),
    (
        f"NetworkAuthentication.{POLICY}",
        networks("10.1.0.0/24", "10.0.0.0/8"),
        "spec.networks[0].except[0]",
    ),
    (f"NetworkAuthentication.{POLICY}", {"networks": "10.0.0.0/8"}, "spec.networks"),
    (f"EgressNetwork.{POLICY}", {"trafficPolicy": "Allow", "networks": []}, "spec.networks"),
    (f"EgressNetwork.{POLICY}", {"trafficPolicy": "Maybe"}, "spec.trafficPolicy"),
    (
        f"HTTPLocalRateLimitPolicy.{POLICY}",
        limit(100, targetRef={"group": "apps", "kind": "Deployment", "name": "web"}),
        "spec.targetRef",
    ),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(0), "spec.total.requestsPerSecond"),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(2**32), "spec.total.requestsPerSecond"),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(1, 2), "spec.identity.requestsPerSecond"),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(9, 0), "spec.identity.requestsPerSecond"),
    (f"HTTPLocalRateLimitPolicy.{POLICY}", limit(1, 1, 2), "spec.overrides[0].requestsPerSecond"),
    (
        f"HTTPLocalRateLimitPolicy.{POLICY}",
        limit(9, overrides=[{"requestsPerSecond": 1, "clientRefs": [MESH_TLS]}]),
        "spec.overrides[0].clientRefs[0]",
    ),
    *(
        (f"HTTPRoute.{group}", spec, field)
        for group in (POLICY, GATEWAY)
        for spec, field in (
            (
                match(path={"type": "Exact", "value": "foo"}),
                "spec.rules[0].matches[0].path.value",
            ),
            (
                match(path={"type": "RegularExpression", "value": "(a"}),
                "spec.rules[0].matches[0].path.value",
            ),
            (
                match(headers=[{"name": "a b", "value": "c"}]),
                "spec.rules[0].matches[0].headers[0].name",
            ),
            (
                match(queryParams=[{"name": "a", "value": "*", "type": "RegularExpression"}]),
                "spec.rules[0].matches[0].queryParams[0].value",
            ),
            (
                filtered(
                    "RequestRedirect",
                    requestRedirect={"path": {**REDIRECT, "replaceFullPath": "new"}},
                ),
                "spec.rules[0].filters[0].requestRedirect.path.replaceFullPath",
            ),
            (
                filtered("RequestRedirect", requestRedirect={"path": {"type": "X"}}),
                "spec.rules[0].filters[0].requestRedirect.path",
            ),
            (
                filtered(
                    "RequestHeaderModifier",
                    requestHeaderModifier={"set": [{"name": "a", "value": "b\r\nc"}]},
                ),
                "spec.rules[0].filters[0].requestHeaderModifier.set[0].value",
            ),
            ({"parentRefs": [SERVICE, EGRESS]}, "spec.parentRefs[1].port"),
        )
    ),
    (f"HTTPRoute.{POLICY}", filtered("URLRewrite"), "spec.rules[0].filters[0].type"),
    (
        f"HTTPRoute.{POLICY}",
        route(backendRefs=[{"name": "a", "filters": [{"type": "X"}]}]),
        "spec.rules[0].backendRefs[0].filters[0].type",
    ),
    (f"HTTPRoute.{POLICY}", route(timeouts={"request": "3 s"}), "spec.rules[0].timeouts.request"),
    (f"HTTPRoute.{POLICY}", route(timeouts={"request": "-3s"}), "spec.rules[0].timeouts.request"),
    (
        f"HTTPRoute.{POLICY}",
        route(timeouts={"request": "1s", "backendRequest": "1001ms"}),
        "spec.rules[0].timeouts.backendRequest",
    ),
    *(
        (f"{kind}.{GATEWAY}", route(backendRefs=[backend]), "spec.rules[0].backendRefs[0].port")
        for kind in ("HTTPRoute", "GRPCRoute")
        for backend in ({"name": "a"}, {"name": "a", "group": "", "kind": "Service", "port": 0})
    ),
    (
        f"GRPCRoute.{GATEWAY}",
        match(method={"type": "RegularExpression", "service": ".*"}),
        "spec.rules[0].matches[0].method.type",
    ),
    (f"GRPCRoute.{GATEWAY}", {"parentRefs": [EGRESS]}, "spec.parentRefs[0].port"),
    *(
        (f"{kind}.{GATEWAY}", spec, field)
        for kind in ("TCPRoute", "TLSRoute")
        for spec, field in (
            ({"parentRefs": [EGRESS], "rules": [{}]}, "spec.parentRefs[0].port"),
            ({"rules": [{}, {}]}, "spec.rules"),
            ({"rules": []}, "spec.rules"),
        )
    ),
    *(
        ("ServiceProfile.linkerd.io", {"routes": [one]}, f"spec.routes[0].{field}")
        for one, field in (
            ({"condition": {"method": "GET"}}, "name"),
            ({"name": "a"}, "condition"),
            ({"name": "a", "condition": {"all": [{}]}}, "condition.all[0]"),
            ({"name": "a", "condition": {"pathRegex": "["}}, "condition.pathRegex"),
            ({"name": "a", "condition": {"method": "G"}, "timeout": "foo"}, "timeout"),
            (
                {
                    "name": "a",
                    "condition": {"method": "G"},
                    "responseClasses": [{"condition": {"status": {"min": 500, "max": 400}}}],
                },
                "responseClasses[0].condition.status.max",
            ),
            (
                {
                    "name": "a",
                    "condition": {"method": "G"},
                    "responseClasses": [{"condition": {"status": {"min": 600}}}],
                },
                "responseClasses[0].condition.status.min",
            ),
            (
                {"name": "a", "condition": {"method": "G"}, "responseClasses": [{}]},
                "responseClasses[0].condition",
            ),
        )
    ),
    (
        "ServiceProfile.linkerd.io",
        {"retryBudget": {"retryRatio": -1, "ttl": "1s"}},
        "spec.retryBudget.retryRatio",
    ),
    ("ServiceProfile.linkerd.io", {"retryBudget": {"retryRatio": 1}}, "spec.retryBudget.ttl"),
    (f"Server.{POLICY}", None, "spec"),
    (f"Server.{POLICY}", "x", "spec"),
    (f"HTTPRoute.{POLICY}", {"rules": "none"}, "spec.rules"),
]


@pytest.mark.parametrize(("kind", "spec"), TAKEN)
def test_what_can_mean_something_is_taken(kind: str, spec: Any) -> None:
    assert reviewed(kind, spec) == ""


@pytest.mark.parametrize(("said", "taken"), [("100", True), ("0", False), ("many", False)])
def test_a_server_says_in_numbers_how_many_requests_may_be_in_flight(
    said: str, taken: bool
) -> None:
    name = "policy.linkerd2-py.io/concurrency"
    reason = reviewed(f"Server.{POLICY}", SERVER, annotations={name: said})
    assert reason == "" if taken else reason.startswith(f"metadata.annotations.{name}: must be")


@pytest.mark.parametrize(("kind", "spec", "field"), REFUSED)
def test_what_cannot_is_refused_by_its_field(kind: str, spec: Any, field: str) -> None:
    reason = reviewed(kind, spec)
    assert reason.startswith(f"{field}: "), reason


@pytest.mark.parametrize("kind", [f"HTTPRoute.{POLICY}", f"HTTPRoute.{GATEWAY}"])
@pytest.mark.parametrize(
    "annotations",
    [
        {"retry.linkerd.io/http": "6xx"},
        {"retry.linkerd.io/limit": "many"},
        {"timeout.linkerd.io/request": "soon"},
    ],
)
def test_annotations_of_retries_and_timeouts_are_read(
    kind: str, annotations: dict[str, str]
) -> None:
    to_service = {"parentRefs": [SERVICE]}
    assert reviewed(kind, to_service, annotations=annotations).startswith("metadata.annotations: ")
    # What comes to a Server is neither retried nor timed out.
    assert reviewed(kind, {"parentRefs": [ON_SERVER]}, annotations=annotations) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+\.\w*",
        r"[[:alpha:]]+",
        r"\p{Greek}\PL",
        r"(?P<a>x)(?<b>y)",
        r"(?i)abc(?-i)D",
        r"(?x: a b )",
        r"\x{10FFFF}\z",
        r"[a-z&&[^b]]",
        "a{2,5}?",
        r"\\1",
    ],
)
def test_regular_expressions_as_proxies_have_them(pattern: str) -> None:
    path = {"type": "RegularExpression", "value": pattern}
    assert reviewed(f"HTTPRoute.{POLICY}", match(path=path)) == ""


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "[z-a]", r"(?=a)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", "(?P<n"]
)
def test_regular_expressions_that_proxies_do_not_have(pattern: str) -> None:
    path = {"type": "RegularExpression", "value": pattern}
    reason = reviewed(f"HTTPRoute.{POLICY}", match(path=path))
    assert reason.startswith("spec.rules[0].matches[0].path.value: ")


def test_kinds_that_are_none_of_ours() -> None:
    assert reviewed("Pod.", {}) == "request.kind: pod. is no kind of the mesh"


@pytest.mark.parametrize("review", [{}, {"request": 1}, {"request": {}}, {"request": {"uid": 1}}])
def test_what_is_no_review(review: dict[str, Any]) -> None:
    response = answer(review)["response"]
    assert not response["allowed"]
    assert response["status"]["code"] == 400


def test_an_object_that_is_nested_deeply() -> None:
    condition: dict[str, Any] = {"method": "GET"}
    for _ in range(500):
        condition = {"all": [condition]}
    spec = {"routes": [{"name": "a", "condition": condition}]}
    # Either answer will do; an API server that gets none is stuck.
    assert isinstance(reviewed("ServiceProfile.linkerd.io", spec), str)
    assert json.dumps(answer({"request": {"uid": "a"}}))
