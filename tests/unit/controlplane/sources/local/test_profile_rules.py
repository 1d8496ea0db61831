"""`profiles` of a mesh.yaml: what they mean, and that every mistake is named with its line and field."""

from pathlib import Path

import pytest
import yaml

from linkerd2_py.controlplane.local import sample
from linkerd2_py.controlplane.mesh.service_profiles import (
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    ServiceProfile,
    StatusRange,
)
from linkerd2_py.controlplane.sources.kubernetes.service_profiles import read_service_profile
from linkerd2_py.controlplane.sources.local.mesh_file import MeshFileError, parse_mesh

HEAD = """\
namespace: shop
services:
  web-svc: {workload: web}
workloads:
  web: {command: [web]}
profiles:
"""
PROFILE = """\
  web-svc:
    routes:
      - name: GET /books
        condition: {all: [{method: GET}, {any: [{pathRegex: '/books/[^/]*'}]}, {not: {method: PUT}}]}
        responseClasses:
          - condition: {status: {min: 500, max: 599}}
            isFailure: true
          - condition: {any: [{status: {min: 404}}, {not: {status: {max: 200}}}]}
        isRetryable: true
        timeout: 300ms
      - {name: others, condition: {pathRegex: /.*}}
    retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 10, ttl: 10s}
"""


def profiles(text: str) -> tuple[ServiceProfile, ...]:
    return parse_mesh(HEAD + text, source="mesh.yaml").profiles


def problem(text: str) -> str:
    with pytest.raises(MeshFileError) as caught:
        profiles(text)
    (line,) = caught.value.problems
    return line


def test_a_profile_says_what_it_says_in_a_cluster() -> None:
    (found,) = profiles(PROFILE)
    assert found.name == "web-svc.shop.svc.cluster.local"
    first, second = found.routes
    assert first == Route(
        "GET /books",
        RequestMatch(
            all=(
                RequestMatch(method="GET"),
                RequestMatch(any=(RequestMatch(path="/books/[^/]*"),)),
                RequestMatch(inverse=RequestMatch(method="PUT")),
            )
        ),
        (
            ResponseClass(ResponseMatch(status=StatusRange(500, 599)), is_failure=True),
            ResponseClass(
                ResponseMatch(
                    any=(
                        ResponseMatch(status=StatusRange(404, 0)),
                        ResponseMatch(inverse=ResponseMatch(status=StatusRange(0, 200))),
                    )
                ),
                is_failure=False,
            ),
        ),
        is_retryable=True,
        timeout_s=0.3,
    )
    assert second.name == "others"
    assert found.budget == RetryBudget(0.2, 10, 10.0)


def test_the_same_object_of_a_cluster_is_the_same_profile() -> None:
    spec = yaml.safe_load(PROFILE)["web-svc"]
    about = {"namespace": "shop", "name": "web-svc.shop.svc.cluster.local"}
    assert profiles(PROFILE) == (read_service_profile({"metadata": about, "spec": spec}),)


def test_the_sample_has_the_same_profiles_in_a_mesh_yaml_and_in_a_cluster() -> None:
    folder = Path(sample.__file__).parent
    mesh = parse_mesh((folder / "mesh.yaml").read_text(), source="mesh.yaml")
    text = (folder / "emojivoto.yaml").read_text().replace("${namespace}", "emojivoto")
    objects = [one for one in yaml.safe_load_all(text) if one["kind"] == "ServiceProfile"]
    assert mesh.profiles == tuple(read_service_profile(one) for one in objects)
    assert any(route.name == "VoteDoughnut" for one in mesh.profiles for route in one.routes)


ROUTE = "  web-svc: {routes: [{name: a, condition: {%s}}]}"
CLASS = "  web-svc: {routes: [{name: a, condition: {method: GET}, responseClasses: [%s]}]}"
BUDGET = "  web-svc: {retryBudget: {%s}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  web: {}", "mesh.yaml:7: profiles.web: there is no service 'web'; there are: web-svc"),
        ("  web-svc: {route: 1}", "profiles.web-svc.route: is not a known field"),
        ("  web-svc: {routes: []}", "profiles.web-svc.routes: must not be empty"),
        ("  web-svc: {routes: [{name: a}]}", "routes[0].condition: is missing"),
        (
            "  web-svc: {routes: [{name: '', condition: {method: GET}}]}",
            "routes[0].name: must be 1 to",
        ),
        (ROUTE % "", "routes[0].condition: must say something"),
        (ROUTE % "method: GET, path: /a", "condition.path: is not a known field"),
        (ROUTE % "all: []", "condition.all: must not be empty"),
        (ROUTE % "method: 'G T'", "condition.method: must be a method of HTTP"),
        (
            ROUTE % "pathRegex: '('",
            "condition.pathRegex: cannot be used as a pattern: a group has no end",
        ),
        (ROUTE % "pathRegex: ''", "condition.pathRegex: must not be empty"),
        (ROUTE % (40 * "not: {" + "method: GET" + 40 * "}"), "is nested more than 32 times"),
        (CLASS % "{isFailure: true}", "responseClasses[0].condition: is missing"),
        (CLASS % "{condition: {status: {}}}", "status: must say something"),
        (CLASS % "{condition: {status: {min: 600}}}", "status.min: must be a whole number >= 100"),
        (CLASS % "{condition: {status: {min: 500, max: 400}}}", "no status is from 500 to 400"),
        (
            CLASS % "{condition: {status: {min: 500}}, isFailure: maybe}",
            "isFailure: must be true or false",
        ),
        (BUDGET % "retryRatio: 1, ttl: 1s", "retryBudget.minRetriesPerSecond: is missing"),
        (
            BUDGET % "retryRatio: -1, minRetriesPerSecond: 1, ttl: 1s",
            "retryRatio: must be a number from 0",
        ),
        (
            BUDGET % "retryRatio: 1, minRetriesPerSecond: 1, ttl: soon",
            "ttl: must be a time such as",
        ),
    ],
)
def test_a_mistake_is_named(text: str, words: str) -> None:
    assert words in problem(text)


def test_a_route_is_listed_once() -> None:
    twice = "  web-svc: {routes: [{name: a, condition: {method: GET}}, {name: a, condition: {method: PUT}}]}"
    assert "routes[1]: name 'a' is listed twice" in problem(twice)
