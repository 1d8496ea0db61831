"""ServiceProfiles as messages."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from linkerd2_py.controlplane.destination import routes
from linkerd2_py.controlplane.mesh.service_profiles import (
    Override,
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    StatusRange,
)

GET = RequestMatch(method="get")
PATH = RequestMatch(path="/a")


def one_line(message: object) -> str:
    return text_format.MessageToString(message, as_one_line=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (GET, "method { registered: GET }"),
        (RequestMatch(method="brew"), 'method { unregistered: "BREW" }'),
        (PATH, 'path { regex: "/a" }'),
        (RequestMatch(inverse=PATH), 'not { path { regex: "/a" } }'),
        (RequestMatch(any=(GET,)), "any { matches { method { registered: GET } } }"),
        (RequestMatch(all=()), "all { }"),
        # All that one condition says must hold.
        (
            RequestMatch(method="PUT", path="/a", any=(GET,)),
            (
                "all { matches { any { matches { method { registered: GET } } } }"
                ' matches { method { registered: PUT } } matches { path { regex: "/a" } } }'
            ),
        ),
    ],
)
def test_conditions_of_requests(condition: RequestMatch, expected: str) -> None:
    assert one_line(routes.route(Route("r", condition)).condition) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ResponseMatch(status=StatusRange(500, 599)), "status { min: 500 max: 599 }"),
        (
            ResponseMatch(inverse=ResponseMatch(status=StatusRange(200, 0))),
            "not { status { min: 200 } }",
        ),
        (
            ResponseMatch(status=StatusRange(500, 0), all=(), any=()),
            "all { matches { all { } } matches { any { } } matches { status { min: 500 } } }",
        ),
    ],
)
def test_conditions_of_responses(condition: ResponseMatch, expected: str) -> None:
    classes = (ResponseClass(condition, is_failure=True),)
    (found,) = routes.route(Route("r", PATH, classes)).response_classes
    assert (one_line(found.condition), found.is_failure) == (expected, True)


def test_a_route_has_a_timeout_where_it_has_one() -> None:
    timed = routes.route(Route("r", PATH, is_retryable=True, timeout_s=0.3))
    assert (timed.timeout.ToMilliseconds(), timed.is_retryable) == (300, True)
    assert not routes.route(Route("r", PATH)).HasField("timeout")


def test_a_budget_is_linkerds_where_nobody_gives_one() -> None:
    assert routes.budget(None).min_retries_per_second == 10
    given = routes.budget(RetryBudget(0.5, 0, 60.0))
    assert (given.retry_ratio, given.min_retries_per_second, given.ttl.seconds) == (0.5, 0, 60)


@pytest.mark.parametrize(
    ("said", "authority"),
    [
        ("v2.shop.svc.cluster.local", "v2.shop.svc.cluster.local:80"),
        ("v2.shop.svc.cluster.local:81", "v2.shop.svc.cluster.local:81"),
        ("[fd00::1]:81", "[fd00::1]:81"),
        ("", ":80"),
    ],
)
def test_an_override_is_at_the_port_that_was_asked_for(said: str, authority: str) -> None:
    assert routes.override(Override(said, 9000), port=80).authority == authority
