"""What is kept of a ServiceProfile, and what makes one say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.service_profiles import (
    Override,
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    ServiceProfile,
    StatusRange,
)
from linkerd2_py.controlplane.sources.kubernetes.service_profiles import read_service_profile

NAME = "web.shop.svc.cluster.local"
PATH = {"pathRegex": "/a"}


def read(**spec: Any) -> ServiceProfile:
    return read_service_profile({"metadata": {"namespace": "shop", "name": NAME}, "spec": spec})


def test_everything_that_one_may_say() -> None:
    route = {
        "name": "r",
        "condition": {"all": [{"method": "GET"}, {"not": PATH}], "any": [PATH]},
        "isRetryable": True,
        "timeout": "300ms",
        "responseClasses": [
            {"condition": {"status": {"min": 500, "max": 599}}, "isFailure": True},
            {"condition": {"not": {"any": [{"status": {"min": 200}}]}}},
        ],
    }
    found = read(
        routes=[route],
        retryBudget={"retryRatio": 0.3, "minRetriesPerSecond": 7, "ttl": "15s"},
        dstOverrides=[{"authority": "v2", "weight": "900m"}, {"authority": "v1", "weight": 1}],
    )
    path = RequestMatch(path="/a")
    condition = RequestMatch(
        all=(RequestMatch(method="GET"), RequestMatch(inverse=path)), any=(path,)
    )
    good = ResponseMatch(any=(ResponseMatch(status=StatusRange(200, 0)),))
    classes = (
        ResponseClass(ResponseMatch(status=StatusRange(500, 599)), is_failure=True),
        ResponseClass(ResponseMatch(inverse=good), is_failure=False),
    )
    assert found == ServiceProfile(
        "shop",
        NAME,
        (Route("r", condition, classes, is_retryable=True, timeout_s=0.3),),
        RetryBudget(0.3, 7, 15.0),
        (Override("v2", 9000), Override("v1", 10_000)),
    )


@pytest.mark.parametrize("said", ["soon", "-1s", "10"])
def test_a_timeout_that_makes_no_sense_is_none(said: str) -> None:
    (route,) = read(routes=[{"name": "r", "condition": PATH, "timeout": said}]).routes
    assert route.timeout_s == 0.0


def deep(levels: int) -> dict[str, Any]:
    return {"not": deep(levels - 1)} if levels else PATH


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"routes": [{"name": "r"}]}, "a condition is missing"),
        (
            {"retryBudget": {"retryRatio": 10**400, "ttl": "1s"}},
            "the ratio of retries is beyond all numbers",
        ),
        ({"routes": [{"name": "r", "condition": {}}]}, "a condition of a route says nothing"),
        ({"routes": [{"condition": {"all": [{}]}}]}, "a condition of a route says nothing"),
        (
            {"routes": [{"condition": PATH, "responseClasses": [{}]}]},
            "a condition is missing",
        ),
        (
            {"routes": [{"condition": PATH, "responseClasses": [{"condition": {}}]}]},
            "a condition of a response says nothing",
        ),
        (
            {
                "routes": [
                    {"condition": PATH, "responseClasses": [{"condition": {"status": {"min": 99}}}]}
                ]
            },
            "99 is not an HTTP status",
        ),
        (
            {
                "routes": [
                    {
                        "condition": PATH,
                        "responseClasses": [{"condition": {"status": {"min": 500, "max": 400}}}],
                    }
                ]
            },
            "no HTTP status is from 500 to 400",
        ),
        ({"routes": [{"condition": deep(40)}]}, "conditions are nested more than 32 times"),
        ({"retryBudget": {"ttl": "soon"}}, "'soon' is not a duration"),
        ({"dstOverrides": [{"authority": "v2", "weight": "much"}]}, "'much' is not a weight"),
        ({"dstOverrides": [{"authority": "v2"}]}, "None is not a weight"),
    ],
)
def test_a_part_that_makes_no_sense_spoils_all(spec: dict[str, Any], problem: str) -> None:
    found = read(**spec)
    assert found.problem.startswith(problem)
    assert found == ServiceProfile("shop", NAME, problem=found.problem)


@pytest.mark.parametrize(
    ("said", "weight"),
    [
        ("1", 10_000),
        ("500m", 5000),
        ("0.5", 5000),
        (".25", 2500),
        ("0.0001", 10),
        ("9M", 2**32 - 1),
    ],
)
def test_weights_are_quantities(said: str, weight: int) -> None:
    (override,) = read(dstOverrides=[{"authority": "v2", "weight": said}]).overrides
    assert override.weight == weight


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "all",
                    "any",
                    "not",
                    "status",
                    "min",
                    "condition",
                    "routes",
                    "weight",
                    "retryBudget",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@given(anything)
def test_anything_is_read_or_has_a_problem(spec: Any) -> None:
    found = read_service_profile({"metadata": {}, "spec": spec})
    assert found.problem or isinstance(found.routes, tuple)
