"""Listing and following one kind, from an API server that does what none should: scripted answers over real
sockets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json
from linkerd2_py.controlplane.sources.kubernetes import reflector as reflectors
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.reflector import Reflector, Resource
from tests.support.wait import eventually_async

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PODS = Resource("pods")
ROUTES = Resource("httproutes", group="policy.linkerd.io", version="v1beta3", optional=True)


class Script:
    """Answers questions in order, one after the other; the last goes on for ever. `asked` is
    what was asked.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({"path": request.path, **request.query})
        one = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return await one(request)


class Told:
    """A sink that keeps names and versions, and every state it was in."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}
        self.states: list[dict[str, str]] = []

    def read(self, found: Json) -> tuple[str, str]:
        return found["metadata"]["name"], found["metadata"]["resourceVersion"]

    def replace(self, objects: Sequence[tuple[str, str]]) -> None:
        self._become(dict(objects))

    def put(self, found: tuple[str, str]) -> None:
        self._become({**self.now, found[0]: found[1]})

    def remove(self, found: tuple[str, str]) -> None:
        self._become({name: at for name, at in self.now.items() if name != found[0]})

    def _become(self, state: dict[str, str]) -> None:
        self.now = state
        self.states.append(state)


def pod(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def listed(*items: Json, version: int, following: str = "") -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        about = {"resourceVersion": str(version), "continue": following}
        return web.json_response({"items": list(items), "metadata": about})

    return answer


def refused(status: int, message: str = "no", **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "message": message, "code": status}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return answer


def event(kind: str, found: Json) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


def watched(*chunks: bytes, stays: bool = False) -> Answer:
    """A watch that says this much, and ends or goes silent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if stays:
            # Until the client has gone.
            await asyncio.Event().wait()
        return response

    return answer


SILENT = watched(stays=True)


@asynccontextmanager
async def following(
    script: Script, resource: Resource = PODS
) -> AsyncIterator[tuple[Reflector[Any], Told]]:
    """A reflector at work on a server that follows `script`."""
    app = web.Application()
    app.router.add_get("/{path:.*}", script.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    api = ApiServer(client.Configuration(host=f"http://127.0.0.1:{port}"))
    told = Told()
    reflector = Reflector(resource, api=api, sink=told, clock=SystemClock(), random=lambda: 0.0)
    task = spawn(reflector.run(), name="reflector")
    try:
        yield reflector, told
        assert not task.done(), task
    finally:
        await cancel_all([task])
        await api.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests are about what is asked, not about how long one waits before."""
    monkeypatch.setattr(reflectors, "PAUSES", reflectors.PAUSES._replace(min_s=0.01, max_s=0.05))


class Pauses:
    """Pauses of a reflector that last no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        waits = self._wait
        monkeypatch.setattr(reflectors, "asyncio", SimpleNamespace(sleep=waits))

    @property
    def total_s(self) -> float:
        return sum(self.slept)

    async def _wait(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def test_a_list_comes_in_pages_and_is_told_whole() -> None:
    script = Script(
        listed(pod("a", 1), version=9, following="more"), listed(pod("b", 2), version=9), SILENT
    )
    async with following(script) as (reflector, told):
        await eventually_async(lambda: len(script.asked) == 3)
        assert told.states == [{"a": "1", "b": "2"}]
        assert reflector.synced
    assert script.asked[0] == {"path": "/api/v1/pods", "limit": "250"}
    assert script.asked[1] == {"path": "/api/v1/pods", "limit": "250", "continue": "more"}
    assert script.asked[2]["resourceVersion"] == "9"
    assert script.asked[2]["allowWatchBookmarks"] == "true"


async def test_changes_are_told_as_they_come() -> None:
    events = (
        event("ADDED", pod("b", 10)),
        event("MODIFIED", pod("a", 11)),
        event("DELETED", pod("b", 12)),
    )
    async with following(Script(listed(pod("a", 1), version=9), watched(*events, stays=True))) as (
        _,
        told,
    ):
        await eventually_async(lambda: len(told.states) == 4)
        assert told.states[1:] == [{"a": "1", "b": "10"}, {"a": "11", "b": "10"}, {"a": "11"}]


async def test_a_watch_that_ended_is_asked_again_from_what_was_heard_last() -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "77"}})
    script = Script(listed(version=9), watched(event("ADDED", pod("a", 10)), bookmark), SILENT)
    async with following(script) as (_, told):
        await eventually_async(lambda: len(script.asked) == 3)
        assert told.now == {"a": "10"}
    assert script.asked[2]["resourceVersion"] == "77"


async def test_half_an_event_is_no_event() -> None:
    script = Script(
        listed(version=9), watched(event("ADDED", pod("a", 10)), b'{"type":"ADDED","obj'), SILENT
    )
    async with following(script) as (reflector, told):
        await eventually_async(lambda: len(script.asked) == 3)
        await eventually_async(lambda: not reflector.problem)
        assert told.now == {"a": "10"}
    assert script.asked[2]["resourceVersion"] == "10"


@pytest.mark.parametrize(
    "gone", [refused(410), watched(event("ERROR", {"code": 410, "message": "too old"}))]
)
async def test_what_is_too_old_is_listed_again_and_no_empty_moment_is_told(gone: Answer) -> None:
    script = Script(
        listed(pod("a", 1), pod("b", 1), version=9),
        gone,
        listed(pod("b", 1), pod("c", 2), version=20, following="more"),
        listed(pod("d", 2), version=20),
        SILENT,
    )
    async with following(script) as (_, told):
        await eventually_async(lambda: len(script.asked) == 5)
        assert told.states == [{"a": "1", "b": "1"}, {"b": "1", "c": "2", "d": "2"}]
    assert "continue" not in script.asked[2]


async def test_a_list_that_grew_too_old_between_pages_begins_anew() -> None:
    script = Script(
        listed(pod("a", 1), version=9, following="more"), refused(410), listed(version=10), SILENT
    )
    async with following(script) as (_, told):
        await eventually_async(lambda: len(script.asked) == 4)
        assert told.states == [{}]
    assert "continue" not in script.asked[2]


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_refusal_is_named_and_what_is_known_stays(status: int) -> None:
    script = Script(
        listed(pod("a", 1), version=9), refused(status, "not you"), refused(status, "not you")
    )
    async with following(script) as (reflector, told):
        await eventually_async(lambda: reflector.problem == "pods: not you")
        assert told.states == [{"a": "1"}]
        assert reflector.synced


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"items": []}, {"items": 5, "metadata": []}, [], "no", None),
        {"metadata": {"resourceVersion": "20"}},
        {"metadata": {"resourceVersion": "20"}, "items": {}},
        {"metadata": {"resourceVersion": 20}, "items": []},
    ],
)
async def test_an_answer_that_is_no_list_does_not_empty_the_mesh(body: object) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    script = Script(listed(pod("a", 1), version=9), refused(410), answer)
    async with following(script) as (reflector, told):
        await eventually_async(lambda: "/api/v1/pods: the answer is not a" in reflector.problem)
        assert told.states == [{"a": "1"}]


@pytest.mark.parametrize("found", ["no", None, {"code": "many"}, {"message": 7}])
async def test_a_watch_that_fails_in_an_unheard_way_goes_on_from_what_was_heard(found: Any) -> None:
    script = Script(
        listed(version=9), watched(event("ADDED", pod("a", 10)), event("ERROR", found)), SILENT
    )
    async with following(script) as (reflector, told):
        await eventually_async(lambda: len(script.asked) == 3 and not reflector.problem)
        assert told.now == {"a": "10"}
    assert script.asked[2]["resourceVersion"] == "10"


async def test_no_items_may_be_null() -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"resourceVersion": "20"}, "items": None})

    async with following(Script(answer, SILENT)) as (_, told):
        await eventually_async(lambda: told.states == [{}])


@pytest.mark.parametrize(
    "odd",
    [
        *(b"no\n", b"[]\n", b"7\n", b"{}\n", b'{"type":"ADDED"}\n', b"\n"),
        *(event("MODIFIED", found) for found in (None, [], "x", {}, {"metadata": 7})),
        event("MODIFIED", {"metadata": {"resourceVersion": ["11"]}}),
        event("MODIFIED", {"metadata": {"resourceVersion": None}}),
    ],
)
async def test_an_event_that_cannot_be_read_is_asked_for_again(odd: bytes) -> None:
    script = Script(listed(version=9), watched(event("ADDED", pod("a", 10)), odd), SILENT)
    async with following(script) as (reflector, told):
        await eventually_async(lambda: len(script.asked) == 3 and not reflector.problem)
        assert told.now == {"a": "10"}
    assert script.asked[2]["resourceVersion"] == "10"


@pytest.mark.parametrize("kind", ["SURPRISE", "", None, 7, ["ADDED"], {"ADDED": 1}])
async def test_an_event_of_an_unknown_type_changes_nothing(kind: Any) -> None:
    told_so = event(kind, pod("a", 11)), event("ADDED", pod("b", 12))
    script = Script(listed(pod("a", 1), version=9), watched(*told_so, stays=True))
    async with following(script) as (_, told):
        await eventually_async(lambda: told.now == {"a": "1", "b": "12"})
    assert len(script.asked) == 2


async def test_an_object_that_is_too_deep_to_read_does_not_take_others_along() -> None:
    hole = '{"a":' * 5_000 + "1" + "}" * 5_000
    deep = json.dumps(pod("deep", 2))[:-1] + ', "spec": ' + hole + "}"
    items = f"{json.dumps(pod('a', 1))}, {deep}"
    whole = f'{{"metadata": {{"resourceVersion": "9"}}, "items": [{items}]}}'

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=whole)

    later = f'{{"type": "MODIFIED", "object": {deep}}}\n'.encode().replace(b'"2"', b'"10"')
    script = Script(answer, watched(later, event("ADDED", pod("b", 11)), stays=True))
    async with following(script) as (_, told):
        await eventually_async(lambda: told.now == {"a": "1", "deep": "10", "b": "11"})
        assert told.states[0] == {"a": "1", "deep": "2"}


async def test_who_says_when_to_come_again_is_not_asked_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses = Pauses(monkeypatch)
    script = Script(
        listed(pod("a", 1), version=9),
        refused(429, Retry_After="17"),
        refused(503, Retry_After="soon"),
        refused(503, Retry_After="9" * 40),
        SILENT,
    )
    async with following(script) as (reflector, told):
        await eventually_async(lambda: len(script.asked) == 5 and not reflector.problem)
        assert told.states == [{"a": "1"}]
    assert pauses.slept[0] == 17.0
    assert all(0 < one < 1 for one in pauses.slept[1:])


async def test_an_api_server_that_is_away_for_ten_minutes_takes_nothing_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflectors, "PAUSES", BackoffRange(min_s=0.5, max_s=30.0, jitter=1.0))
    pauses = Pauses(monkeypatch)
    away = refused(503, "etcdserver: no leader")

    async def gone_for_long(request: web.Request) -> web.StreamResponse:
        if pauses.total_s < 600:
            return await away(request)
        return await watched(event("ADDED", pod("b", 10)), stays=True)(request)

    script = Script(listed(pod("a", 1), version=9), gone_for_long)
    async with following(script) as (reflector, told):
        await eventually_async(lambda: told.now == {"a": "1", "b": "10"})
        assert told.states == [{"a": "1"}, {"a": "1", "b": "10"}]
        assert not reflector.problem
    # Soon at first, then seldom; and asked from where it had stopped, so that nothing is lost.
    assert pauses.slept[0] <= 1.0
    assert max(pauses.slept) <= 60.0
    assert 20 <= len(script.asked) <= 40
    assert {one["resourceVersion"] for one in script.asked[1:]} == {"9"}


async def test_nobody_waits_for_what_only_describes_and_may_not_be_listed() -> None:
    script = Script(
        refused(403, "not you"),
        refused(403, "not you"),
        listed(pod("a", 1), version=9),
        refused(403, "not any more"),
        refused(403, "not any more"),
    )
    async with following(script, Resource("nodes", describes=True)) as (reflector, told):
        await eventually_async(lambda: reflector.problem == "nodes: not any more")
        # It is taken up when it may be; after that it stays as it was.
        assert told.states == [{}, {"a": "1"}]
        assert reflector.synced


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_what_only_describes_is_waited_for_when_the_api_server_is_in_trouble(
    status: int,
) -> None:
    async with following(Script(refused(status)), Resource("nodes", describes=True)) as (
        reflector,
        told,
    ):
        await eventually_async(lambda: reflector.problem != "")
        assert not reflector.synced
        assert not told.states


async def test_before_the_first_list_nothing_is_told() -> None:
    async with following(Script(refused(500))) as (reflector, told):
        await eventually_async(lambda: reflector.problem != "")
        assert not reflector.synced
        assert told.states == []


async def test_a_problem_that_is_over_is_forgotten_though_nothing_happens() -> None:
    script = Script(listed(version=9), refused(500), SILENT)
    async with following(script) as (reflector, _):
        await eventually_async(lambda: len(script.asked) == 3 and not reflector.problem)


async def test_an_optional_kind_that_is_not_there_is_a_complete_list_of_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflectors, "ABSENT_S", 0.01)
    script = Script(refused(404), refused(404), listed(pod("a", 1), version=9), SILENT)
    async with following(script, ROUTES) as (reflector, told):
        await eventually_async(lambda: reflector.synced)
        await eventually_async(lambda: told.now == {"a": "1"})
        assert not reflector.problem
    assert script.asked[0]["path"] == "/apis/policy.linkerd.io/v1beta3/httproutes"


async def test_an_optional_kind_that_goes_away_takes_its_objects_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflectors, "ABSENT_S", 0.01)
    async with following(Script(listed(pod("a", 1), version=9), refused(404)), ROUTES) as (_, told):
        await eventually_async(lambda: told.states[-1:] == [{}])


async def test_a_kind_that_must_be_there_and_is_not_is_a_problem() -> None:
    async with following(Script(refused(404, "no such thing"))) as (reflector, told):
        await eventually_async(lambda: reflector.problem == "pods: no such thing")
        assert not told.states


async def test_a_server_that_ends_each_watch_at_once_is_not_asked_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    script = Script(listed(version=9), watched())
    async with following(script):
        monkeypatch.setattr(reflectors.asyncio, "sleep", noted)
        await eventually_async(lambda: len(pauses) >= 3)
        monkeypatch.undo()
    assert all(seconds >= 0.01 for seconds in pauses)


async def test_silence_ends_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflectors, "SILENCE_S", 0.05)
    script = Script(listed(pod("a", 1), version=9), SILENT)
    async with following(script) as (_, told):
        await eventually_async(lambda: len(script.asked) >= 3)
        assert told.states == [{"a": "1"}]


async def test_a_server_that_is_not_there_is_named() -> None:
    api = ApiServer(client.Configuration(host="http://127.0.0.1:9"))
    try:
        with pytest.raises(ApiError, match=r"127\.0\.0\.1:9/api/v1/pods: "):
            await api.get("/api/v1/pods", {})
    finally:
        await api.close()


async def test_metadata_is_asked_for_where_the_rest_is_not_needed() -> None:
    accepted: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        accepted.append(request.headers["Accept"])
        following_answer = SILENT if "watch" in request.query else listed(version=1)
        return await following_answer(request)

    owners = Resource("replicasets", group="apps", metadata=True)
    async with following(Script(answer), owners):
        await eventually_async(lambda: len(accepted) == 2)
    assert "PartialObjectMetadataList;" in accepted[0]
    assert "PartialObjectMetadata;" in accepted[1]
