"""A cluster whose API server fails in every way there is: what is known holds, nobody is told of an empty set,
and what happened meanwhile is told in the end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from time import thread_time

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.slices import SLICE_S
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.policy import Policy
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.sources.kubernetes import reflector as reflectors
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import DIRECT, KubernetesSource
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.scripted_api_server import (
    SERVICES,
    SLICES,
    Answer,
    ScriptedApiServer,
    scripted_api_server,
    service,
    slice_of,
)
from tests.support.wait import eventually_async

NODES, SERVERS = "/api/v1/nodes", "/apis/policy.linkerd.io/v1beta3/servers"
LIMIT_S = 30.0


class Listener:
    """A proxy that balances over what it is told; `sets` are all that it had."""

    def __init__(self) -> None:
        self.sets: list[frozenset[str]] = []
        self._now: set[str] = set()

    @property
    def now(self) -> set[str]:
        return self._now

    def hear(self, told: bytes) -> None:
        update = messages.Update.FromString(told)
        self._now |= {str(ip_address(one.addr.ip.ipv4)) for one in update.add.addrs}
        self._now -= {str(ip_address(one.ip.ipv4)) for one in update.remove.addrs}
        if update.HasField("no_endpoints"):
            self._now.clear()
        self.sets.append(frozenset(self._now))


class Rig:
    """A destination that follows a cluster."""

    def __init__(self, server: ScriptedApiServer, api: ApiServer) -> None:
        self.server = server
        self.store = MeshStore()
        self.source = KubernetesSource(
            api, store=self.store, clock=SystemClock(), identities=Identities()
        )
        self.destination = Destination(self.store, metrics=CollectorRegistry())
        self._tasks: list[asyncio.Task[None]] = []

    def serve(self, *ips: str, name: str = "web") -> None:
        self.server.put(SLICES, slice_of(name, ips))

    def listen(self, name: str = "web") -> Listener:
        """What a proxy hears that asks for this service."""
        listener = Listener()

        async def read() -> None:
            question = self.destination.endpoints_question(f"{name}.shop.svc.cluster.local:80")
            async for told in await self.destination.endpoints.subscribe(question):
                listener.hear(told)

        self._tasks.append(spawn(read(), name="listener"))
        return listener

    async def stop(self) -> None:
        self.destination.close()
        await self.source.stop()
        await cancel_all(self._tasks)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflectors, "PAUSES", reflectors.PAUSES._replace(min_s=0.01, max_s=0.05))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with scripted_api_server() as (server, api):
        server.put(SERVICES, service("web"))
        server.put(SLICES, slice_of("web", ["192.0.2.1", "192.0.2.2"]))
        rig = Rig(server, api)
        yield rig
        await rig.stop()


def says(body: bytes | str, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def half(body: bytes) -> Answer:
    """A connection that is cut within what it promised."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(2 * len(body))})
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


def status(code: int, message: str = "no") -> str:
    return json.dumps({"kind": "Status", "message": message, "code": code})


LIST = json.dumps({"metadata": {"resourceVersion": "9999"}, "items": []}).encode()
FAULTS: dict[str, Answer] = {
    "429": says(status(429), 429, **{"Retry-After": "0"}),
    "500": says(status(500), 500),
    "503 of somebody else": says("<html>try later</html>", 503),
    "a page of somebody else": says("<html>log in</html>"),
    "nothing": says(""),
    "null": says("null"),
    "half a list": says(LIST[:-3]),
    "half a list, cut": half(LIST[:-3]),
    "a list without items": says('{"metadata": {"resourceVersion": "9999"}}'),
    "a list of no version": says('{"metadata": {}, "items": []}'),
    "an object": says(json.dumps(service("other"))),
    "a status for an answer": says(status(500)),
    "no answer": never,
}
GONE = json.dumps({"type": "ERROR", "object": {"code": 410}}) + "\n"


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_known_holds(rig: Rig, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While watches and lists fail, and all has to be listed again after that."""
    monkeypatch.setattr(reflectors, "SILENCE_S", 0.2)
    monkeypatch.setattr(
        "linkerd2_py.controlplane.sources.kubernetes.api_server.ANSWER_LIMIT_S", 0.2
    )
    listener = rig.listen()
    await eventually_async(lambda: listener.now == {"192.0.2.1", "192.0.2.2"})

    async def too_old_and_then(request: web.Request) -> web.StreamResponse:
        return await (says(GONE) if "watch" in request.query else FAULTS[fault])(request)

    rig.server.faults[""] = too_old_and_then
    rig.server.cut()
    asked = rig.server.asked
    await eventually_async(lambda: len(rig.source.problems) > 20, deadline_s=LIMIT_S)
    await eventually_async(lambda: rig.server.asked > asked + 200, deadline_s=LIMIT_S)
    rig.serve("192.0.2.2", "192.0.2.3")
    late = rig.listen()
    await eventually_async(lambda: late.now == {"192.0.2.1", "192.0.2.2"})
    assert listener.sets == late.sets == [{"192.0.2.1", "192.0.2.2"}]
    rig.server.faults.clear()
    rig.server.cut()
    for one in (listener, late):
        await eventually_async(lambda o=one: o.now == {"192.0.2.2", "192.0.2.3"})  # type: ignore[misc]
        assert frozenset() not in one.sets
    await eventually_async(lambda: not rig.source.problems, deadline_s=LIMIT_S)


@pytest.mark.parametrize(
    "lines",
    [
        '{"type": "ADDED", "object": {"metad',
        '{"type": "SURPRISE", "object": {"metadata": {"resourceVersion": "2"}}}\n',
        '{"type": "ERROR", "object": {"code": 500}}\n{"type": "ERROR", "object": "no"}\n',
        '{"type": "BOOKMARK", "object": {"metadata": {}}}\n',
        "<html>\n</html>\n",
    ],
)
async def test_a_watch_that_says_something_else_is_asked_again(rig: Rig, lines: str) -> None:
    listener = rig.listen()
    await eventually_async(lambda: len(listener.now) == 2)
    rig.server.faults[SLICES] = rig.server.faults[SERVICES] = says(lines)
    asked = rig.server.asked
    rig.server.cut()
    await eventually_async(lambda: rig.server.asked > asked + 40, deadline_s=LIMIT_S)
    rig.serve("192.0.2.3")
    rig.server.faults.clear()
    await eventually_async(lambda: listener.now == {"192.0.2.3"}, deadline_s=LIMIT_S)
    assert frozenset() not in listener.sets


DESCRIBING = frozenset(
    {NODES, "/apis/apps/v1/replicasets", "/api/v1/replicationcontrollers"}
    | {f"/apis/batch/v1/{plural}" for plural in ("jobs", "cronjobs")}
)
# Nothing of what proxies ask is made of them.
COUNTED = frozenset(
    f"/apis/apps/v1/{plural}" for plural in ("deployments", "statefulsets", "daemonsets")
)
DECIDING = [
    *("/api/v1/namespaces", "/api/v1/pods", SERVICES, SLICES, SERVERS),
    *(at.path for kind in DIRECT.values() for at in kind if at.path != SERVERS),
]


@pytest.mark.parametrize("path", [*DECIDING, *sorted(DESCRIBING | COUNTED)])
async def test_who_may_not_list_a_kind_waits_only_where_an_answer_would_be_wrong(path: str) -> None:
    async with scripted_api_server() as (server, api):
        server.faults[path] = says(status(403, "not you"), 403)
        rig = Rig(server, api)
        policy = Policy(rig.store, settings=PolicySettings(), metrics=CollectorRegistry())
        waits = path in DECIDING

        def is_ready() -> bool:
            return rig.destination.is_synced and policy.is_synced

        try:
            others = {
                name for name in rig.source.unsynced if f"/{name.partition('.')[0]}" not in path
            }
            await eventually_async(
                lambda: bool(rig.source.problems) and not others & {*rig.source.unsynced},
                deadline_s=LIMIT_S,
            )
            assert is_ready() is not waits
            (problem,) = rig.source.problems
            assert problem.endswith(": not you")
            # Once it may be listed, nobody waits any more.
            server.faults.clear()
            await eventually_async(lambda: not rig.source.problems, deadline_s=LIMIT_S)
            await eventually_async(is_ready, deadline_s=LIMIT_S)
        finally:
            policy.close()
            await rig.stop()


async def test_a_slow_list_of_one_kind_keeps_only_those_who_need_it_waiting(rig: Rig) -> None:
    """And who needs it is not told that there is nothing, but waits."""
    go_on = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        del rig.server.faults[SERVERS]
        return await rig.server.answer(request)

    rig.server.faults[SERVERS] = slowly
    listener = rig.listen()
    await eventually_async(
        lambda: rig.source.unsynced == ["servers.policy.linkerd.io"], deadline_s=LIMIT_S
    )
    assert not listener.sets
    go_on.set()
    await eventually_async(lambda: listener.now == {"192.0.2.1", "192.0.2.2"})


def absurd_slice() -> Json:
    found = slice_of("absurd", [])
    found["endpoints"] = [
        None,
        {"addresses": [7, "no", "192.0.2.9"], "conditions": 5, "hints": "a"},
    ]
    found["ports"] = [{"name": "http", "port": 10**30}, 5]
    return found


async def test_an_object_that_makes_no_sense_spoils_itself_alone(rig: Rig) -> None:
    absurd = service("absurd")
    absurd["spec"] = {"ports": [{"name": "http", "port": 80, "targetPort": {}}], "clusterIPs": 5}
    listener, other = rig.listen(), rig.listen("absurd")
    rig.server.put(SERVICES, absurd)
    rig.server.put(SLICES, absurd_slice())
    rig.serve("192.0.2.3")
    await eventually_async(lambda: listener.now == {"192.0.2.3"})
    assert not other.sets
    assert not rig.source.problems


async def long_turns(until: Callable[[], bool]) -> int:
    """How many turns of this loop there are that take longer than a few slices, by their CPU time."""
    count, before = 0, thread_time()
    while not until():
        await asyncio.sleep(0)
        now = thread_time()
        count += now - before > 3 * SLICE_S
        before = now
    return count


async def test_ten_thousand_events_at_once_hold_nobody_up(rig: Rig) -> None:
    listener = rig.listen()
    await eventually_async(lambda: len(listener.now) == 2)
    await eventually_async(lambda: not rig.source.unsynced)
    for number in range(10_000):
        rig.serve(f"192.0.2.{number % 200}", "192.0.2.250")
    rig.serve("192.0.2.251")
    # Python may clear away its garbage now and then.
    assert await long_turns(lambda: listener.now == {"192.0.2.251"}) < 5
    assert frozenset() not in listener.sets
    # What followed each other closely was told at once, and so nobody fell behind.
    assert len(listener.sets) < 5_000


OURS = ("*/controlplane/*", "*/linkerd2_py/base/*", "*/json/decoder.py")


def kept_bytes() -> int:
    """What was allocated by our code since it is traced, and by what reads objects for it."""
    gc.collect()
    traced = tracemalloc.take_snapshot()
    only = [tracemalloc.Filter(inclusive=True, filename_pattern=pattern) for pattern in OURS]
    support = tracemalloc.Filter(inclusive=False, filename_pattern="*/tests/*")
    return sum(one.size for one in traced.filter_traces([*only, support]).traces)


async def test_what_is_kept_does_not_grow_with_what_happens(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither with events nor with failures and lists that are made anew."""
    # Whoever collects log lines for tests keeps all of them.
    caplog.set_level(logging.CRITICAL, logger="linkerd2_py")
    listener = rig.listen()
    count = 0

    async def many_things(rounds: int) -> None:
        nonlocal count
        for _ in range(rounds):
            count += 1
            for number in range(50):
                rig.serve(f"192.0.2.{(count + number) % 200}", "192.0.2.250")
            rig.server.faults[SLICES] = says(GONE) if count % 2 else FAULTS["half a list"]
            asked = rig.server.asked
            rig.server.cut()
            await eventually_async(lambda a=asked: rig.server.asked > a + 3)  # type: ignore[misc]
            rig.server.faults.clear()
            rig.serve("192.0.2.251", f"192.0.2.{count % 200}")
            here = {"192.0.2.251", f"192.0.2.{count % 200}"}
            await eventually_async(lambda h=here: listener.now == h, deadline_s=LIMIT_S)  # type: ignore[misc]

    await many_things(5)
    tracemalloc.start()
    try:
        await many_things(5)
        before = kept_bytes()
        await many_things(30)
        assert kept_bytes() - before < 100_000
    finally:
        tracemalloc.stop()
    assert frozenset() not in listener.sets
