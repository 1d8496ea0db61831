"""What services of a mesh.yaml say of their requests: that every mistake is named with its line and field,
and what is allowed there. What the words mean is in tests/contract/source/policies, beside their equals in a
cluster.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.policy import (
    AuthorizationPolicy,
    MeshTLSAuthentication,
    Server,
)
from linkerd2_py.controlplane.mesh.routes import Failure, HTTPRoute
from linkerd2_py.controlplane.sources.local.mesh_file import MeshFileError, parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec

MESH = """\
services:
  web:
    {workload: web, port: 80, targetPort: 8080,
    %s}
  other: {workload: other, ports: [{port: 80}, {port: 90}]}
  bytes: {workload: other, port: 9000, opaque: true}
  pods: {workload: web, port: 81, targetPort: 8080, clusterIP: None}
  bare: {workload: bare, port: 7000}
workloads:
  web: {command: [web]}
  other: {command: [other], serviceAccount: robot}
  bare: {command: [bare], meshed: false}
"""


def mesh(words: str) -> MeshSpec:
    return parse_mesh(MESH % words, source="mesh.yaml")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(MeshFileError) as caught:
        parse_mesh(text, source="mesh.yaml")
    return caught.value.problems


ROUTE = "routes[0]"
CODES = "cancelled, deadline-exceeded, internal, resource-exhausted, unavailable"
CONDITIONS = f"must be one of 5xx, gateway-error, 429, 500-504, or of gRPC {CODES}"
TIME = "must be a time such as 300ms, 10s or 2m"
RATE = "must be requests a second such as 100/s"
SHARE = "must be a share above 0% and up to 100%"
BACKOFF = "must be a shortest and a longest time such as 1s..60s"
WRONG = [
    # matches
    ("routes: {}", "routes: must be a list, not a mapping"),
    ("routes: []", "routes: must not be empty"),
    ("routes: [1]", f"{ROUTE}: must be a mapping, not '1'"),
    ("routes: [{mach: {path: /}}]", f"{ROUTE}.mach: is not a known field; known are: name, match, hosts, port, to, timeout, timeouts, retries, breaker, requestHeaders, responseHeaders, rewrite, redirect, fail"),
    ("routes: [{match: /}]", f"{ROUTE}.match: must be a mapping, not '/'"),
    ("routes: [{match: {}}]", f"{ROUTE}.match: must say something: path, method, headers, query, grpc"),
    ("routes: [{match: []}]", f"{ROUTE}.match: must not be empty"),
    ("routes: [{match: [{path: /}, {}]}]", f"{ROUTE}.match[1]: must say something: path, method, headers, query, grpc"),
    ("routes: [{match: {path: api}}]", f"{ROUTE}.match.path: must be a path that begins with /, without spaces and ?, not 'api'"),
    ("routes: [{match: {path: /a?b=c}}]", f"{ROUTE}.match.path: must be a path that begins with /, without spaces and ?, not '/a?b=c'"),
    ("routes: [{match: {path: /api/}}]", f"{ROUTE}.match.path: write /api/* for all below it, or {{exact: /api/}}"),
    ("routes: [{match: {path: /*/api}}]", f"{ROUTE}.match.path: has a * that is not /* at its end: use {{regex: …}}"),
    ("routes: [{match: {path: {regex: '('}}}]", f"{ROUTE}.match.path.regex: cannot be used as a pattern: a group has no end"),
    ("routes: [{match: {path: {regex: a, exact: /}}}]", f"{ROUTE}.match.path: must say one of exact, prefix, regex"),
    ("routes: [{match: {path: {glob: /}}}]", f"{ROUTE}.match.path.glob: is not a known field; known are: exact, prefix, regex"),
    ("routes: [{match: {method: 'G T'}}]", f"{ROUTE}.match.method: must be a method of HTTP, not 'G T'"),
    ("routes: [{match: {headers: [x]}}]", f"{ROUTE}.match.headers: must be a mapping, not a list"),
    ("routes: [{match: {headers: {'a b': c}}}]", f"{ROUTE}.match.headers.a b: 'a b' is no name of a header"),
    ("routes: [{match: {headers: {a: {regex: '[', exact: b}}}}]", f"{ROUTE}.match.headers.a: must say one of exact, regex"),
    ("routes: [{match: {query: {a: [b]}}}]", f"{ROUTE}.match.query.a: must be text, not a list"),
    ("routes: [{match: {query: {}}}]", f"{ROUTE}.match.query: must not be empty"),
    ("routes: [{match: {grpc: a/b/c}}]", f"{ROUTE}.match.grpc: must be SERVICE, SERVICE/METHOD or '*', not 'a/b/c'"),
    ("routes: [{match: {grpc: A, path: /}}]", f"{ROUTE}.match.path: is of HTTP; beside grpc only headers can be matched"),
    ("routes: [{match: {grpc: A}}, {match: {path: /}}]", "routes[1]: is of HTTP, and other routes here are of gRPC, which go before it everywhere: match calls by path: /SERVICE/METHOD, or all by grpc"),
    ("routes: [{name: A_b}]", f"{ROUTE}.name: must be a DNS label (a-z, 0-9 and -, at most 63, not starting or ending with -), not 'A_b'"),
    ("routes: [{name: a}, {name: a}]", "routes[1].name: another route is called 'a'"),
    ("routes: [{hosts: [Shop]}]", f"{ROUTE}.hosts[0]: must be a host name in small letters, *. before it for all that end so, not 'Shop'"),
    ("routes: [{port: 90}]", f"{ROUTE}.port: service web has no port 90; it has: 80"),
    # where to
    ("routes: [{to: nobody}]", f"{ROUTE}.to: there is no service 'nobody'; there are: web, other, bytes, pods, bare"),
    ("routes: [{to: 'other:91'}]", f"{ROUTE}.to: service other has no port '91'; it has: 80, 90"),
    ("routes: [{to: {}}]", f"{ROUTE}.to: must name a service"),
    ("routes: [{to: [web]}]", f"{ROUTE}.to: must be text, not a list"),
    ("split: {web: -1}", "split.web: must be a whole number >= 0 and <= 1000000, not '-1'"),
    ("split: {web: 10%}", "split.web: must be a whole number >= 0 and <= 1000000, not '10%'"),
    ("split: {web: 0, other: 0}", "split: all weights are 0: nothing would be sent anywhere"),
    ("split: {web: {fail: 503}}", "split.web.weight: is missing"),
    ("split: {web: {weight: 1, retries: 2}}", "split.web.retries: is not a known field; known are: weight, requestHeaders, responseHeaders, fail"),
    # what is done to requests
    ("routes: [{requestHeaders: {}}]", f"{ROUTE}.requestHeaders: must say something: add, set, remove"),
    ("routes: [{requestHeaders: {sets: {a: b}}}]", f"{ROUTE}.requestHeaders.sets: is not a known field; known are: add, set, remove"),
    ("routes: [{redirect: {}}]", f"{ROUTE}.redirect: must say where to: scheme, host, port, path, prefix"),
    ("routes: [{redirect: {path: /, prefix: /}}]", f"{ROUTE}.redirect.prefix: stands in the place of path: say either"),
    ("routes: [{redirect: {host: 'a b'}}]", f"{ROUTE}.redirect.host: must be a host name"),
    ("routes: [{redirect: {scheme: ftp}}]", f"{ROUTE}.redirect.scheme: must be one of http, https, not 'ftp'"),
    ("routes: [{redirect: {path: a}}]", f"{ROUTE}.redirect.path: 'a' must begin with /"),
    ("routes: [{redirect: {path: /, status: 200}}]", f"{ROUTE}.redirect.status: must be one of 301, 302, 303, 307, 308, not '200'"),
    ("routes: [{match: {grpc: '*'}, redirect: {path: /}}]", f"{ROUTE}.redirect: calls of gRPC cannot be redirected"),
    ("routes: [{match: {grpc: '*'}, responseHeaders: {remove: [a]}}]", f"{ROUTE}.responseHeaders: of calls of gRPC only the headers of requests can be changed"),
    ("routes: [{match: {path: /a}, redirect: {prefix: /b}}]", f"{ROUTE}.redirect.prefix: takes the place of what a path such as /old/* means, and match has another"),
    ("routes: [{match: {path: {regex: /a}}, rewrite: {prefix: /b}}]", f"{ROUTE}.rewrite.prefix: takes the place of what a path such as /old/* means, and match has another"),
    ("routes: [{rewrite: {}}]", f"{ROUTE}.rewrite: must say something: host, path, prefix"),
    ("routes: [{rewrite: {path: /}, redirect: {path: /}}]", f"{ROUTE}.rewrite: a request that is sent elsewhere keeps what is asked for"),
    ("routes: [{match: {grpc: '*'}, rewrite: {path: /}}]", f"{ROUTE}.rewrite: calls of gRPC keep what is asked for"),
    ("routes: [{fail: 200}]", f"{ROUTE}.fail: must be a whole number >= 400 and <= 599, not '200'"),
    ("routes: [{fail: {share: 10%}}]", f"{ROUTE}.fail.status: is missing"),
    ("routes: [{fail: {status: 503, share: 0%}}]", f"{ROUTE}.fail.share: {SHARE}, not '0%'"),
    ("routes: [{fail: {status: 503, share: 0.1}}]", f"{ROUTE}.fail.share: {SHARE}, not '0.1'"),
    ("routes: [{fail: {status: 503, code: internal}}]", f"{ROUTE}.fail.code: is of gRPC"),
    ('routes: [{fail: {status: 503, message: "a\\e[1m"}}]', f"{ROUTE}.fail.message: must be 1 to 200 characters of ASCII that can be shown"),
    ("routes: [{match: {grpc: '*'}, fail: 503}]", f"{ROUTE}.fail: must be one of cancelled, unknown, invalid-argument, deadline-exceeded, not-found, already-exists, permission-denied, resource-exhausted, failed-precondition, aborted, out-of-range, unimplemented, internal, unavailable, data-loss, unauthenticated, not '503'"),
    # how long, how often
    ("timeout: 10", f"timeout: {TIME}, not '10'"),
    ("timeout: 0s", f"timeout: {TIME}, not '0s'"),
    ("timeout: 1s, timeouts: {idle: 1s}", "timeout: says the same as timeouts.request: say either"),
    ("timeouts: {}", "timeouts: must say something: request, response, idle"),
    ("timeouts: {connect: 1s}", "timeouts.connect: is not a known field; known are: request, response, idle"),
    ("retries: 2", "retries: must be a mapping, not '2'"),
    ("retries: {limit: 2}", "retries.when: is missing: after what a request is tried again, such as [5xx]"),
    ("retries: {when: [6xx]}", f"retries.when[0]: {CONDITIONS}, not '6xx'"),
    ("retries: {when: 504-500}", f"retries.when: {CONDITIONS}, not '504-500'"),
    ("retries: {when: [5xx, unavailable]}", "retries.when[1]: unavailable is of gRPC, and nothing here is: its routes are of HTTP; a route of gRPC is one with match: {grpc: '*'}"),
    ("retries: {when: 5xx}, routes: [{match: {grpc: A}}]", "retries.when: 5xx is of HTTP, and nothing here is: its routes are of gRPC"),
    ("retries: {when: 5xx, limit: 0}", "retries.limit: must be a whole number >= 1 and <= 100, not '0'"),
    ("retries: {when: 5xx, timeout: soon}", f"retries.timeout: {TIME}, not 'soon'"),
    ("breaker: 7", "breaker: must be true or false, not '7'"),
    ("breaker: {failures: 0}", "breaker.failures: must be a whole number >= 1 and <= 1000000, not '0'"),
    ("breaker: {backoff: 1s}", f"breaker.backoff: {BACKOFF}, not '1s'"),
    ("breaker: {backoff: 60s..1s}", f"breaker.backoff: {BACKOFF}, not '60s..1s'"),
    ("breaker: {jitter: much}", "breaker.jitter: must be a number from 0 to 100, not 'much'"),
    ("breaker: {successRate: 80}", f"breaker.successRate: {SHARE}, not '80'"),
    ("breaker: {successRate: {window: 1ms}}", "breaker: wanted: success-rate-window of 10ms at least"),
    ("breaker: {honorRetryAfter: true}", "breaker.honorRetryAfter: needs successRate beside it"),
    ("routes: [{breaker: often}]", f"{ROUTE}.breaker: must be true or false, not 'often'"),
    ("routes: [{breaker: {failures: 0}}]", f"{ROUTE}.breaker.failures: must be a whole number >= 1 and <= 1000000, not '0'"),
    ("preferZone: a", "preferZone: must be true or false, not 'a'"),
    # who
    (
        "policy: {}",
        "policy: must say something: allow, jwt, audit, authorize, rate, concurrency, routes",
    ),
    ("policy: {allow: all}", "policy.allow: must be one of everybody, meshed, nobody, not 'all'"),
    ("policy: {allow: []}", "policy.allow: must not be empty"),
    ("policy: {allow: [wep]}", "policy.allow[0]: nobody here is called 'wep'; there are: bare, robot, web, everybody, meshed; and networks"),
    ("policy: {allow: [nobody]}", "policy.allow[0]: stands alone: allow: nobody"),
    ("policy: {allow: [10.0.0.0/33]}", "policy.allow[0]: '10.0.0.0/33' is neither a DNS name nor a SPIFFE ID"),
    ("policy: {allow: [{who: web}]}", "policy.allow[0].from: is missing: networks; who is enough as a text"),
    ("policy: {allow: [{from: here}]}", "policy.allow[0].from: must be an address or a network such as 10.0.0.0/8, not 'here'"),
    ("policy: {allow: [{from: 10.0.0.0/8, except: [11.0.0.0/8]}]}", "policy.allow[0].except: 11.0.0.0/8 is no part of a network that is named, or all of it"),
    ("policy: {allow: everybody, audit: true}", "policy.audit: finds nobody where allow is everybody"),
    ("policy: {audit: maybe}", "policy.audit: must be true or false, not 'maybe'"),
    ("policy: {rate: 10}", f"policy.rate: {RATE}, not '10'"),
    ("policy: {rate: 0/s}", f"policy.rate: {RATE}, not '0/s'"),
    ("policy: {rate: 10/m}", f"policy.rate: {RATE}, not '10/m'"),
    ("policy: {rate: {}}", "policy.rate: must say something: total, each, of"),
    ("policy: {authorize: nobody}", "policy.authorize: there is no service 'nobody'; there are: web, other, bytes, pods, bare"),
    ('policy: {authorize: "web:1"}', "policy.authorize: service web has no port '1'; it has: 80"),
    ("policy: {authorize: {timeout: 1s}}", "policy.authorize.service: is missing: who is asked, such as authz:9000"),
    (
        "policy: {authorize: {service: web, timeout: 2m}}",
        "policy.authorize.timeout: must be a time up to 60s such as 200ms, not '2m'",
    ),
    (
        "policy: {authorize: {service: web, status: 200}}",
        "policy.authorize.status: must be a whole number >= 400 and <= 599, not '200'",
    ),
    (
        "policy: {allow: [web], audit: true, authorize: web}",
        "policy.audit: lets in those about whom authorize would ask nobody",
    ),
    ("policy: {concurrency: 0}", "policy.concurrency: must be a whole number >= 1 and <= 2147483647, not '0'"),
    ("policy: {concurrency: {}}", "policy.concurrency: must say something: total, each, of"),
    ("policy: {concurrency: {total: 1, each: 2}}", "policy.concurrency.each: must not be more than the total, 1"),
    ("policy: {concurrency: {total: 1, of: {web: 2}}}", "policy.concurrency.of.web: must not be more than the total, 1"),
    ("policy: {rate: {total: 1/s, each: 2/s}}", "policy.rate.each: must not be more than the total, 1/s"),
    ("policy: {rate: {total: 1/s, of: {web: 2/s}}}", "policy.rate.of.web: must not be more than the total, 1/s"),
    ("policy: {rate: {of: {meshed: 2/s}}}", "policy.rate.of.meshed: a rate is of an account such as web, or of one of another namespace, web.shop"),
    ("policy: {routes: [{match: {grpc: A}}]}", "policy.routes[0].match.grpc: is of gRPC; by HTTP a call is path: /SERVICE/METHOD"),
    ("policy: {routes: [{to: web}]}", "policy.routes[0].to: is not a known field; known are: name, match, allow, authorize, requestHeaders, redirect"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_mistake_is_named_with_line_and_field(words: str, message: str) -> None:
    assert problems(MESH % words) == (f"mesh.yaml:4: services.web.{message}",)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("set: {host: a}", "set.host"),
        ("add: {transfer-encoding: a}", "add.transfer-encoding"),
        ("remove: [l5d-dst-override]", "remove[0]"),
        ('set: {a: "b\\r\\nc: d"}', "set.a"),
    ],
)
def test_what_is_not_a_routes_to_change_is_refused(field: str, names: str) -> None:
    (problem,) = problems(MESH % f"routes: [{{requestHeaders: {{{field}}}}}]")
    assert problem.startswith(
        f"mesh.yaml:4: services.web.routes[0].requestHeaders.{names}: cannot be changed: "
    )


OTHERS = [
    ("bytes: {", "bytes: {routes: [{to: web}], ", "services.bytes.routes: bytes that are opaque cannot be told apart: only a split is for them"),
    ("bytes: {", "bytes: {split: {web: {weight: 1, fail: 500}}, ", "services.bytes.split: of bytes that are opaque nothing can be changed"),
    ("bytes: {", "bytes: {policy: {rate: 1/s}, ", "services.bytes.policy.rate: is of requests, and nobody looks for them in opaque bytes"),
    ("pods: {", "pods: {split: {web: 1}, ", "services.pods.split: clients of a headless service go to its pods themselves: it has no routes"),
    ("bare: {workload: bare,", "bare: {workload: bare, policy: {allow: nobody},", "services.bare.policy: needs a proxy, but meshed is false for workload bare"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), OTHERS)
def test_what_a_service_cannot_have_is_refused(old: str, new: str, message: str) -> None:
    (problem,) = problems((MESH % "").replace(old, new, 1))
    assert problem.endswith(f": {message}")


def test_a_port_of_a_workload_has_one_policy() -> None:
    text = (MESH % "policy: {allow: nobody}").replace(
        "pods: {", "pods: {policy: {allow: meshed}, ", 1
    )
    assert problems(text) == (
        "mesh.yaml:7: services.pods.policy: port 8080 of workload web has the policy of web",
    )


def test_what_a_profile_would_go_before_is_refused() -> None:
    profile = "profiles: {web: {routes: [{name: a, condition: {method: GET}}]}}\n"
    (problem,) = problems(MESH % "timeout: 1s" + profile)
    reason = "profiles.web goes before it: say all of it there, or all of it here"
    assert problem == f"mesh.yaml:4: services.web.timeout: {reason}"
    budget = "profiles: {web: {retryBudget: {retryRatio: 1, minRetriesPerSecond: 1, ttl: 1s}}}\n"
    parse_mesh(MESH % "timeout: 1s" + budget, source="mesh.yaml")


def test_mistakes_of_all_kinds_are_told_at_once() -> None:
    found = problems(MESH % "timeout: no, policy: {allow: [no]}, routes: [{to: no}]")
    assert len(found) == 3


def test_a_service_that_cannot_be_read_is_no_second_mistake() -> None:
    text = (MESH % "split: {web: 1, bare: 1}").replace("port: 7000", "port: seven")
    assert len(problems(text)) == 1


def test_what_is_said_of_clients_has_one_name_each() -> None:
    """Else one would stand in the place of another, and let in whom that does not mean."""
    found = mesh(
        "policy: {allow: [{from: 10.0.0.0/8}, robot, robot.x, robot], routes: [{allow: [robot]}]}"
    )
    policies = [one for one in found.policies if isinstance(one, AuthorizationPolicy)]
    assert len({one.name for one in policies}) == len(policies) == 4
    twins = MESH % "policy: {allow: [robot-meshed]}" + "  robot-meshed: {command: [x]}\n"
    twins = twins.replace(
        "  other:",
        "  web-robot: {workload: other, port: 9100, policy: {allow: meshed}}\n  other:",
        1,
    )
    names = [
        (type(one), one.key)
        for one in parse_mesh(twins, source="mesh.yaml").policies
        if isinstance(one, AuthorizationPolicy | MeshTLSAuthentication | Server)
    ]
    assert len(set(names)) == len(names)


def test_without_allow_a_workloads_own_word_counts() -> None:
    (server, _) = mesh("policy: {rate: 1/s}").policies
    assert isinstance(server, Server)
    assert server.access_policy == "all-unauthenticated"
    text = (MESH % "policy: {rate: 1/s}").replace(
        "web: {command: [web]}", "web: {command: [web], defaultInboundPolicy: all-authenticated}"
    )
    (server, _) = parse_mesh(text, source="mesh.yaml").policies
    assert isinstance(server, Server)
    assert server.access_policy == "all-authenticated"


def test_a_service_of_several_ports_has_a_server_for_each() -> None:
    text = (MESH % "").replace(
        "other: {workload", "other: {policy: {allow: [web], routes: [{}]}, workload", 1
    )
    found = parse_mesh(text, source="mesh.yaml").policies
    assert [one.name for one in found if isinstance(one, Server)] == ["other-80", "other-90"]
    (route,) = (one for one in found if isinstance(one, HTTPRoute))
    assert [parent.name for parent in route.parents] == ["other-80", "other-90"]


def test_shares_are_kept_whole() -> None:
    (route,) = mesh("routes: [{fail: {status: 503, share: 0.05%, message: oops}}]").policies
    assert isinstance(route, HTTPRoute)
    assert route.rules[0].filters == (Failure(503, "oops", 1, 2000),)


WORDS = [
    "routes",
    "split",
    "timeout",
    "timeouts",
    "retries",
    "breaker",
    "policy",
    "match",
    "path",
    "method",
    "headers",
    "query",
    "grpc",
    "to",
    "name",
    "hosts",
    "port",
    "requestHeaders",
    "responseHeaders",
    "add",
    "set",
    "remove",
    "redirect",
    "scheme",
    "host",
    "prefix",
    "status",
    "fail",
    "share",
    "code",
    "message",
    "when",
    "limit",
    "request",
    "response",
    "idle",
    "failures",
    "backoff",
    "jitter",
    "successRate",
    "below",
    "window",
    "requests",
    "honorRetryAfter",
    "allow",
    "audit",
    "rate",
    "total",
    "each",
    "of",
    "who",
    "from",
    "except",
    "weight",
    "exact",
    "regex",
    "web",
    "other",
    "bytes",
    "everybody",
    "meshed",
    "nobody",
]
SCALARS = [
    "/",
    "/a",
    "/a/*",
    "/a/",
    "*",
    "5xx",
    "429",
    "unavailable",
    "1s",
    "0s",
    "1s..2s",
    "10%",
    "0%",
    "10/s",
    "1",
    "0",
    "-1",
    "true",
    "web",
    "other",
    "robot",
    "10.0.0.0/8",
    "::/0",
    "a.b",
    "*.a.b",
    "GET",
    "503",
    "(",
    "[a-z]+",
    "~",
    "x-a",
]
DOCUMENTS = st.recursive(
    st.sampled_from(SCALARS + WORDS)
    | st.text(max_size=8)
    | st.integers()
    | st.none()
    | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=25,
)
FIELDS = ["routes", "split", "timeout", "timeouts", "retries", "breaker", "policy"]


@given(st.dictionaries(st.sampled_from(FIELDS), DOCUMENTS, max_size=3))
def test_any_words_are_a_mesh_or_mistakes_of_one_line_each(said: dict[str, Any]) -> None:
    document = yaml.safe_load(MESH % "")
    document["services"]["web"] |= said
    try:
        parse_mesh(yaml.safe_dump(document, allow_unicode=True), source="mesh.yaml")
    except MeshFileError as error:
        assert error.problems  # noqa: PT017
        for line in error.problems:
            assert line.isprintable(), line
            assert line.startswith("mesh.yaml:"), line
