"""Watches of live traffic: who is asked, what is told, how they end. Proxies are grpcio's servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Key,
    Namespace,
    Owner,
    Pod,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.observation import Observation
from linkerd2_py.controlplane.tap.proxies import Proxies
from linkerd2_py.controlplane.tap.question import share_of
from linkerd2_py.controlplane.tap.refusals import (
    BadRequestError,
    NotAllowedError,
    NotFoundError,
    NotReadyError,
    TooManyError,
)
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.service import TapService
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.tap.watcher import Watcher
from tests.support.tapped_proxy import TappedProxy, tapped
from tests.support.wait import eventually_async, in_time, within

ME = User("somebody")
WEB = TapRequest(kind=Kind.DEPLOYMENT, name="web", namespace="shop")


def pod(name: str, *, at: str = "", ip: str = "127.0.0.1", **said: Any) -> Pod:
    known: dict[str, Any] = {
        "owner": Owner(DEPLOYMENT, "web"),
        "ips": (ip,),
        "labels": {"app": "web", "pod-template-hash": "abc"},
        "status": "Running",
        "meshed": True,
        "tap_addr": at,
        "service_account": "web",
    }
    return Pod("shop", name, **{**known, **said})


class Shop:
    """A mesh with a tap."""

    def __init__(self, **limits: Any) -> None:
        self.store = MeshStore()
        self.service = TapService(
            self.store, proxies=Proxies(), metrics=CollectorRegistry(), **limits
        )
        self.proxy = TappedProxy()
        self.address = ""

    def list(self, *pods: Pod) -> None:
        service = Service("shop", "web-svc", ports=(), selector={"app": "web"})
        self.store.replace(
            {
                Pod: pods,
                Service: [service],
                Namespace: [Namespace("shop")],
                Workload: [Workload(DEPLOYMENT, "shop", "web", 1)],
            }
        )

    async def begin(self, request: TapRequest = WEB) -> Watcher:
        return await self.service.watch(request, user=ME)


@pytest.fixture
async def running() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def shop(running: AsyncExitStack) -> Shop:
    found = Shop()
    found.address = await running.enter_async_context(tapped(found.proxy))
    found.service.start()
    running.push_async_callback(found.service.stop)
    found.list(pod("web-0", at=found.address))
    return found


async def heard(watch: Watcher, *, until: str) -> list[Any]:
    """All that is told up to the first object with a key."""
    told: list[Any] = []
    async with within(20):
        async for one in watch:
            told.append(one)
            if until in one:
                return told
    raise AssertionError(f"ended after {told}")


async def test_whoever_carries_our_traffic_is_told_who_must_answer(shop: Shop) -> None:
    """In a cluster that is the proxy beside us; this process itself proves nobody's name."""
    identity = "web.shop.serviceaccount.identity.linkerd.cluster.local"
    shop.list(pod("web-0", at=shop.address, identity=identity))
    async with aclosing(await shop.begin()) as watch:
        await eventually_async(lambda: shop.proxy.open == 1)
        assert shop.proxy.metadata[0]["l5d-require-id"] == identity
        assert shop.proxy.tell() == 1
        *notices, _ = await heard(watch, until="requestInitEvent")
        assert [one["troubles"] for one in notices] == [[]]


async def test_what_a_proxy_had_no_room_for_is_told_to_who_watches(shop: Shop) -> None:
    async with aclosing(await shop.begin()) as watch:
        await eventually_async(lambda: shop.proxy.open == 1)
        shop.proxy.tell(lost=7)
        told = await heard(watch, until="requestInitEvent")
    assert {"notice": "lost", "events": 7} in told


class Recorder:
    """Hears of what is wrong with proxies."""

    def __init__(self) -> None:
        self.troubles: list[str] = []

    def event(self, pod: Pod, told: Any, *, call: str) -> None:
        raise AssertionError

    def trouble(self, pod: Pod, reason: str) -> None:
        self.troubles.append(reason)

    def lost(self, events: int) -> None:
        raise AssertionError


async def test_a_refusal_is_no_answer(shop: Shop, running: AsyncExitStack) -> None:
    """Else the pause before the next try would be the shortest each time, and the trouble over and back."""
    shop.proxy.refusal = (grpc.StatusCode.PERMISSION_DENIED, "not you")
    proxies, heard_of = Proxies(), Recorder()
    proxies.start()
    running.push_async_callback(proxies.stop)
    observation = Observation(
        pod("web-0", at=shop.address),
        WEB,
        proxies=proxies,
        share=lambda: share_of(WEB.max_rps, proxies=1),
        hears=heard_of,
    )
    running.push_async_callback(observation.stop)
    await eventually_async(lambda: len(heard_of.troubles) == 3, deadline_s=20)
    assert set(heard_of.troubles) == {"PERMISSION_DENIED: not you"}


async def test_a_watcher_hears_who_is_watched_and_then_what_passes(shop: Shop) -> None:
    async with aclosing(await shop.begin()) as watch:
        assert await anext(watch) == {"notice": "watching", "pods": 1, "troubles": []}
        await eventually_async(lambda: shop.proxy.open == 1)
        shop.proxy.tell(path="/buy")
        request, response, end = await heard(watch, until="responseEndEvent")
    assert request["requestInitEvent"] == {
        "id": {"base": 0, "stream": 1},
        "method": "POST",
        "scheme": "HTTP",
        "authority": "web-svc:80",
        "path": "/buy",
        "headers": None,
    }
    assert response["responseInitEvent"]["httpStatus"] == 200
    assert response["responseInitEvent"]["sinceRequestInit"] == {"nanos": 5_000}
    assert end["responseEndEvent"] == {
        "id": {"base": 0, "stream": 1},
        "sinceRequestInit": {"seconds": 1, "nanos": 7_000},
        "sinceResponseInit": {"nanos": 2_000},
        "responseBytes": 3,
        "trailers": None,
        "grpcStatusCode": 2,
        "ended": "grpc",
    }
    assert len({one["exchange"] for one in (request, response, end)}) == 1
    assert request["proxy"] == {"namespace": "shop", "pod": "web-0"}
    assert request["proxyDirection"] == "INBOUND"
    await eventually_async(lambda: shop.proxy.open == 0)


async def test_both_ends_are_named_from_the_mesh(shop: Shop) -> None:
    shop.store.put(
        pod("bot-0", ip="127.0.0.9", owner=Owner("job", "bot"), service_account="bot", meshed=False)
    )
    async with aclosing(await shop.begin()) as watch:
        await eventually_async(lambda: shop.proxy.open == 1)
        shop.proxy.tell(source=9)
        event = (await heard(watch, until="requestInitEvent"))[-1]
    assert event["source"] == {
        "ip": "127.0.0.9",
        "port": 4000,
        "metadata": {
            "tls": "true",
            "pod": "bot-0",
            "namespace": "shop",
            "serviceaccount": "bot",
            "k8s_job": "bot",
            "pod_template_hash": "abc",
        },
    }
    assert event["destination"]["metadata"] == {
        "pod": "web-0",
        "namespace": "shop",
        "serviceaccount": "web",
        "deployment": "web",
        "control_plane_ns": "linkerd",
        "pod_template_hash": "abc",
        "service": "web-svc",
    }


async def test_proxies_are_asked_what_is_wanted_and_share_the_rate(
    shop: Shop, running: AsyncExitStack
) -> None:
    other = TappedProxy()
    address = await running.enter_async_context(tapped(other))
    shop.store.put(pod("web-1", at=address))
    request = TapRequest(
        kind=Kind.DEPLOYMENT,
        name="web",
        namespace="shop",
        to_kind=Kind.SERVICE,
        to_name="db",
        to_namespace="shop",
        method="get",
        scheme="https",
        authority="db:80",
        path="/q",
        max_rps=8,
        headers=True,
    )
    async with aclosing(await shop.begin(request)):
        await eventually_async(lambda: bool(shop.proxy.asked and other.asked))
    asked = shop.proxy.asked[0]
    assert (asked.limit, shop.proxy.rates) == (20, [4.0])
    assert asked.extract.http.WhichOneof("extract") == "headers"
    conditions = asked.match.all.matches
    assert [(one.destination_label.key, one.destination_label.value) for one in conditions[:2]] == [
        ("service", "db"),
        ("namespace", "shop"),
    ]
    assert conditions[2].http.scheme.registered == 1
    assert conditions[3].http.method.registered == 0
    assert conditions[4].http.authority.exact == "db:80"
    assert conditions[5].http.path.prefix == "/q"


async def test_pods_come_and_go_under_a_watch(shop: Shop, running: AsyncExitStack) -> None:
    other = TappedProxy()
    address = await running.enter_async_context(tapped(other))
    async with aclosing(await shop.begin()) as watch:
        assert (await heard(watch, until="notice"))[-1]["pods"] == 1
        shop.store.put(pod("web-1", at=address))
        assert (await heard(watch, until="notice"))[-1]["pods"] == 2
        await eventually_async(lambda: other.open == 1)
        other.tell(path="/new")
        event = (await heard(watch, until="requestInitEvent"))[-1]
        assert event["proxy"]["pod"] == "web-1"
        shop.store.remove(Pod, key=Key("shop", "web-0"))
        shop.store.remove(Pod, key=Key("shop", "web-1"))
        while (await heard(watch, until="notice"))[-1]["pods"]:
            pass
        await eventually_async(lambda: shop.proxy.open == other.open == 0)
        shop.list(pod("web-2", at=shop.address))
        assert (await heard(watch, until="notice"))[-1]["pods"] == 1


async def test_a_proxy_that_does_not_answer_is_named_and_asked_again(
    shop: Shop, running: AsyncExitStack
) -> None:
    shop.proxy.refusal = (grpc.StatusCode.UNAUTHENTICATED, "who are you?")
    async with aclosing(await shop.begin()) as watch:
        told = await heard(watch, until="notice")
        while not told[-1]["troubles"]:
            told = await heard(watch, until="notice")
        assert told[-1]["troubles"] == [
            {
                "namespace": "shop",
                "pod": "web-0",
                "reason": "its proxy does not know us: who are you?",
            }
        ]
        shop.proxy.refusal = None
        assert (await heard(watch, until="notice"))[-1]["troubles"] == []


async def test_what_lasts_does_not_hold_up_what_comes_after(shop: Shop) -> None:
    request = TapRequest(kind=Kind.POD, name="web-0", namespace="shop", max_rps=1)
    async with aclosing(await shop.begin(request)):
        await eventually_async(lambda: shop.proxy.open == 1)
        for number in range(shop.proxy.asked[0].limit):
            assert shop.proxy.tell(stream=number, ends=False) == 1
        assert shop.proxy.tell(ends=False) == 0
        # The window ends, and another call begins beside the one whose requests go on.
        await eventually_async(lambda: shop.proxy.open == 2, deadline_s=20)
        assert shop.proxy.tell(stream=99) == 1


async def test_equal_questions_are_asked_once(shop: Shop) -> None:
    async with AsyncExitStack() as watches:
        all_of_them = [
            await watches.enter_async_context(aclosing(await shop.begin())) for _ in range(100)
        ]
        await eventually_async(lambda: shop.proxy.open == 1)
        shop.proxy.tell(path="/once")
        told = [await heard(watch, until="requestInitEvent") for watch in all_of_them]
        assert {one[-1]["requestInitEvent"]["path"] for one in told} == {"/once"}
        assert len(shop.proxy.asked) == 1
    await eventually_async(lambda: shop.proxy.open == 0)


async def test_who_does_not_keep_up_loses_events_and_hears_how_many(shop: Shop) -> None:
    lost: list[int] = []
    watch = Watcher(on_close=lambda _: None, on_lost=lost.append, limit=2)
    for number in range(5):
        watch.put({"number": number})  # type: ignore[arg-type]
    told = await watch.within(1)
    assert told == [{"notice": "lost", "events": 3}, {"number": 0}, {"number": 1}]
    assert sum(lost) == 3
    assert await watch.within(0.01) is None
    watch.end("enough")
    assert await watch.within(1) == [{"notice": "ended", "reason": "enough"}]
    assert await watch.within(1) == ()


async def test_a_service_that_stops_says_so(shop: Shop) -> None:
    watch = await shop.begin()
    await shop.service.stop()
    ended = (await heard(watch, until="reason"))[-1]
    assert ended == {"notice": "ended", "reason": "the control plane is being stopped"}
    assert [one async for one in watch] == []
    await watch.aclose()
    with pytest.raises(NotReadyError, match="being stopped"):
        await shop.begin()


async def test_what_is_not_there_is_refused_with_what_would_help(shop: Shop) -> None:
    shop.store.put(pod("api-0", owner=Owner(DEPLOYMENT, "api")))
    shop.store.put(pod("plain-0", meshed=False, owner=Owner(DEPLOYMENT, "plain")))
    cases = {
        ("deploy", "nobody"): "there is no such deployment",
        ("deploy", "api"): "1 of them have a proxy that tells nobody (api-0); restart these pods",
        ("deploy", "plain"): "none that runs has a proxy",
        ("po", "web-9"): "there is no such pod",
        ("sts", ""): "none that runs has a proxy",
    }
    for (kind, name), reason in cases.items():
        with pytest.raises(NotFoundError) as refused:
            await shop.begin(TapRequest.of({"type": kind, "name": name, "namespace": "shop"}))
        assert reason in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(NotFoundError, match="there is no such namespace"):
        await shop.begin(TapRequest.of({"type": "ns", "name": "nowhere"}))
    with pytest.raises(BadRequestError, match="not a label selector"):
        await shop.begin(TapRequest.of({"type": "po", "label_selector": "a=b=c"}))


@pytest.mark.parametrize(
    "said",
    [
        {"type": "po"},
        {"type": "po", "namespace": "shop"},
        {"type": "po", "name": "web-0"},
        {"type": "ns"},
        {"type": "ns", "name": "shop"},
        {"type": "deploy", "namespace": "shop", "label_selector": "app in (web,api)"},
        {"type": "rs", "namespace": "shop", "name": "web-abc"},
    ],
)
async def test_pods_are_found_by_what_they_belong_to(shop: Shop, said: dict[str, Any]) -> None:
    async with aclosing(await shop.begin(TapRequest.of(said))) as watch:
        assert await in_time(anext(watch), 10) == {"notice": "watching", "pods": 1, "troubles": []}


async def test_before_the_mesh_is_known_nobody_is_told_that_nothing_is_there() -> None:
    with pytest.raises(NotReadyError):
        await Shop().begin()


async def test_there_are_limits(running: AsyncExitStack) -> None:
    shop = Shop(watches_max=2, questions_max=1)
    shop.address = await running.enter_async_context(tapped(shop.proxy))
    shop.service.start()
    running.push_async_callback(shop.service.stop)
    shop.list(pod("web-0", at=shop.address))
    async with aclosing(await shop.begin()):
        with pytest.raises(TooManyError, match="too many different watches"):
            await shop.begin(TapRequest(kind=Kind.POD))
        async with aclosing(await shop.begin()):
            with pytest.raises(TooManyError, match="too many watches: 2 are open"):
                await shop.begin()
        async with aclosing(await shop.begin()):
            pass
    async with aclosing(await shop.begin(TapRequest(kind=Kind.POD))):
        pass


async def test_who_may_not_is_refused_before_anything_is_looked_for() -> None:
    async def nobody(_request: TapRequest, user: User) -> None:
        raise NotAllowedError(f"{user.name} may not")

    service = TapService(
        MeshStore(), proxies=Proxies(), authorize=nobody, metrics=CollectorRegistry()
    )
    with pytest.raises(NotAllowedError, match="somebody may not"):
        await service.watch(WEB, user=ME)
