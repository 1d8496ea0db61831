"""From the routes of a profile to tables of the engine, whatever a control plane says."""

import asyncio

import pytest

from linkerd2_py._ext.exchange.retry import Budget
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py._ext.policy.testing import counts_as, labels_of, plan_for
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.discovery.messages import Profile
from linkerd2_py.proxy.discovery.profile_routes import (
    ProfileRoutes,
    compile_routes,
    failing,
    response_classes,
)
from tests.support.wait import eventually_async

DST = (("direction", "outbound"), ("dst", "web.shop.svc.cluster.local:80"))
HEAD = 'direction="outbound",dst="web.shop.svc.cluster.local:80"'
Match = destination.RequestMatch
Response = destination.ResponseMatch


def path(regex: str) -> Match:
    return Match(path=destination.PathMatch(regex=regex))


def method(name: str) -> Match:
    return Match(method=http_types.HttpMethod(registered=name))


def inverse(part: Match) -> Match:
    found = Match()
    getattr(found, "not").CopyFrom(part)
    return found


def both(*parts: Match) -> Match:
    return Match(all=Match.Seq(matches=parts))


def route(name: str, condition: Match, *classes: destination.ResponseClass) -> destination.Route:
    return destination.Route(
        condition=condition, metrics_labels={"route": name}, response_classes=classes
    )


def statuses(lowest: int, highest: int, *, fails: bool = False) -> destination.ResponseClass:
    bounds = destination.HttpStatusRange(min=lowest, max=highest)
    return destination.ResponseClass(condition=Response(status=bounds), is_failure=fails)


async def compiled(*routes: destination.Route) -> RouteTable:
    return await compile_routes(routes, dst=DST, registry=Registry())


def name_of(table: RouteTable, found: bytes, name: bytes = b"GET") -> str:
    """The labels of the route of a request, without what all have."""
    plan = plan_for(table, found, name)
    assert plan is not None
    labels = (labels_of(plan) or b"").decode()
    assert labels.startswith(HEAD)
    return labels.removeprefix(HEAD)


async def test_each_request_is_counted_for_the_first_route_that_means_it() -> None:
    table = await compiled(
        route("vote", both(method("POST"), path(" ^/vote/[a-z]+$ "))),
        route("others", inverse(path("/secret.*"))),
    )
    assert name_of(table, b"/vote/beer", b"POST") == ',rt_route="vote"'
    assert name_of(table, b"/vote/beer") == ',rt_route="others"'
    assert name_of(table, b"/secret/1") == ""


@pytest.mark.parametrize(
    "wrong",
    [
        Match(),
        both(method("GET"), Match()),
        inverse(path(r"(a)\1")),
        path("(?:a|b)*a(?:a|b){20}"),
        Match(method=http_types.HttpMethod()),
    ],
)
async def test_a_route_that_cannot_be_understood_means_nothing(
    wrong: Match, caplog: pytest.LogCaptureFixture
) -> None:
    table = await compiled(route("wrong", wrong), route("right", path("/.*")))
    assert name_of(table, b"/a") == ',rt_route="right"'
    assert "route 'wrong' means no requests" in caplog.text


async def test_conditions_that_are_nested_too_deep_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deep = path("/a")
    for _ in range(45):
        deep = both(deep)
    table = await compiled(route("deep", deep))
    assert table.count == 0
    assert "nested" in caplog.text


async def test_an_absurd_profile_is_bounded_and_does_not_stop_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    count_of_routes = RULES_MAX + 1
    routes = [route(str(number), path(f"/{number}/a")) for number in range(count_of_routes)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = spawn(count(), name="counting")
    table = await compiled(*routes)
    counting.cancel()
    assert table.count <= RULES_MAX
    assert turns > 10
    assert f"{count_of_routes} routes" in caplog.text


async def test_all_patterns_of_a_profile_together_are_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    routes = [route(str(n), path(f"/{n}[a-z]{{200}}[0-9]{{150}}x[^/]{{500}}")) for n in range(500)]
    table = await compiled(*routes)
    assert table.count < 500
    assert "too large together" in caplog.text


async def test_labels_that_no_series_may_have_are_left_out() -> None:
    odd = destination.Route(condition=path("/a"), metrics_labels={"route": 'a"\n', "no label": "x"})
    assert name_of(await compiled(odd), b"/a") == ',rt_route="a\\"\\n"'


def test_the_first_class_that_means_a_status_decides() -> None:
    nothing = Response()
    getattr(nothing, "not").CopyFrom(Response(any=Response.Seq()))
    classes = response_classes(
        [
            statuses(404, 404, fails=True),
            statuses(400, 499),
            statuses(0, 201),
            statuses(599, 0, fails=True),
        ]
    )
    assert classes is not None
    said = {one: counts_as(classes.made(), one) for one in (100, 200, 202, 400, 404, 500, 599, 700)}
    assert said == {
        100: "success", 200: "success", 202: None, 400: "success", 404: "failure", 500: None,
        599: "failure", 700: "failure",
    }  # fmt: skip
    everything = response_classes([destination.ResponseClass(condition=nothing, is_failure=True)])
    assert everything is not None
    assert counts_as(everything.made(), 200) == "failure"
    assert response_classes([]) is None


@pytest.mark.parametrize("bounds", [(500, 400), (0, 5000)])
def test_a_range_that_is_none_is_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no status"):
        response_classes([statuses(*bounds)])


def profile(*routes: destination.Route) -> Profile:
    return Profile(opaque=False, name="web", endpoint=None, routes=routes)


def test_what_fails_is_sent_again() -> None:
    errors = [(one, one) for one in range(500, 600)]
    assert failing(None) == (errors, tuple(range(1, 17)))
    # What is said of a status takes the place of what is usual.
    said = response_classes(
        [statuses(404, 404, fails=True), statuses(501, 599), statuses(200, 200)]
    )
    assert failing(said) == ([(404, 404), (500, 500)], ())


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
@pytest.mark.parametrize("budget", [None, Budget(ratio=0.2, least=10, ttl_ns=10**10)])
async def test_what_goes_out_is_timed_and_sent_again(direction: str, budget: Budget | None) -> None:
    one = route("a", path("/a"))
    one.is_retryable = True
    one.timeout.FromMilliseconds(250)
    dst = (("direction", direction), ("dst", "web:80"))
    table = await compile_routes([one], dst=dst, registry=Registry(), budget=budget)
    plan = plan_for(table, b"/a")
    assert plan is not None
    if direction == "inbound":
        assert (plan.timeouts, plan.retry) == (None, None)
        return
    assert plan.timeouts is not None
    assert (plan.timeouts.head_ns, plan.timeouts.request_ns) == (250_000_000, 0)
    assert (plan.retry is not None) is (budget is not None)
    if plan.retry is not None:
        assert plan.retry.budget is budget


async def test_the_newest_routes_are_installed_and_the_same_again_change_nothing() -> None:
    installed: list[RouteTable | None] = []
    routes = ProfileRoutes(installed.append, direction="inbound", registry=Registry())
    web = Authority("web", 80)
    routes.follow(profile(route("old", path("/old"))), name=web)
    routes.follow(profile(route("new", path("/new"))), name=web)
    await eventually_async(lambda: len(installed) == 1)
    (table,) = installed
    assert table is not None
    assert labels_of(plan_for(table, b"/new") or pytest.fail("no plan")) == (
        b'direction="inbound",dst="web:80",rt_route="new"'
    )
    routes.follow(profile(route("new", path("/new"))), name=web)
    routes.follow(profile(), name=web)
    assert installed == [table, None]
    routes.follow(profile(route("late", path("/late"))), name=web)
    routes.close()
    await asyncio.sleep(0)
    assert len(installed) == 2
