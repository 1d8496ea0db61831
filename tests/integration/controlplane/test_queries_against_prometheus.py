"""The embedded store and the one that asks a Prometheus give the same answers to the closed set of questions.

Twice. A Prometheus scrapes two small servers whose counters grow, reset, come and go, and its raw samples are
put into our store: so what a failed scrape means is the same. And a history of hours, which is written into
Prometheus' files and into our store by one function: so nothing depends on who came when.
"""

import json
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Key, Owner, Workload
from linkerd2_py.controlplane.mesh.objects import Pod as MeshPod
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.families import BUILD, CERTIFICATE_ENDS, STARTED
from linkerd2_py.controlplane.metrics.prometheus.api import PrometheusApi
from linkerd2_py.controlplane.metrics.prometheus.store import PrometheusReports, PrometheusStore
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Report, Selection, Window
from linkerd2_py.controlplane.public_api.answers.edges import Ends, find_edges
from linkerd2_py.controlplane.public_api.answers.stat import answer_of
from linkerd2_py.controlplane.public_api.answers.stat_query import Length, StatAsked, StatQuery
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.public_api.server import WebServer
from tests.support.prometheus import Prometheus, backfill, needs_prometheus, prometheus
from tests.support.wait import eventually_async, within

pytestmark = needs_prometheus

INTERVAL_S = 0.1
TURNS = 30
BOUNDS = ("1", "2", "3", "4", "5", "10", "20", "50", "100", "1000", "+Inf")
PODS = ("web-0", "web-1")
ODD = 'a"b\\c\n{}:80'
OUTBOUND = f'direction="outbound",authority={json.dumps(ODD)},dst_namespace="default",dst_deployment="voting"'
ROUTE = 'direction="outbound",dst="web.shop:80"'
FAMILIES = "linkerd2_py.controlplane.metrics.embedded.ring.FAMILIES"
REQUESTS = Selection({"direction": "inbound"}, ("namespace", "deployment", "classification", "tls"))
BY_POD = Selection({"direction": "inbound"}, ("namespace", "pod"))
CONNECTIONS = Selection({"direction": "inbound", "peer": "src"}, ("namespace", "deployment"))
EDGES = Selection(
    {"direction": "outbound"},
    ("deployment", "dst_deployment", "pod", "server_id", "namespace", "dst_namespace", "tls", "no_tls_reason"),
    present=("deployment", "dst_deployment"),
)  # fmt: skip


class Pod:
    """An exposition that is a function of how often it has been read."""

    def __init__(self, *, seed: int) -> None:
        self.turns = 0
        self.is_down = False
        self._seed = seed

    async def metrics(self, _request: Request) -> Response:
        self.turns += 1
        turn = self.turns
        # The second pod does not answer for a while, then its process starts anew.
        if self.is_down or (self._seed == 2 and 12 <= turn < 16):
            return PlainTextResponse("starting", status_code=503)
        since_start = turn if turn < 16 else turn - 15
        lines = [*self._counters(since_start, turn=turn), *self._histogram(since_start)]
        return PlainTextResponse("\n".join(lines) + "\n")

    def _counters(self, age: int, *, turn: int) -> Sequence[str]:
        inbound = 'direction="inbound",tls="true"'
        lines = [
            f'response_total{{{inbound},classification="success"}} {age * 7 * self._seed}',
            f'response_total{{direction="inbound",tls="disabled",classification="success"}} {age**2}',
            f'tcp_open_connections{{direction="inbound",peer="src"}} {turn % 5 + self._seed}',
            f'tcp_read_bytes_total{{direction="inbound",peer="src"}} {age * 1000.5}',
            f'response_total{{direction="outbound",classification="success",dst_service="x"}} {age}',
            f'response_total{{{OUTBOUND},tls="true",classification="success"}} {age * 3}',
            f'route_response_total{{{ROUTE},rt_route="GET /",classification="success"}} {age * 2}',
            f'route_response_total{{{ROUTE},classification="failure"}} {age // 3}',
            f"process_start_time_seconds {1_700_000_000 + turn - age}",
            'proxy_build_info{version="1"} 1',
            *self._edges(turn),
        ]
        if 5 <= turn < 22:
            # Comes late, from far above zero, and goes again.
            lines.append(f'response_total{{{inbound},classification="failure"}} {90 + turn // 3}')
            lines.append(f'tcp_open_connections{{direction="inbound",peer="src",tls="x"}} {turn}')
        return lines

    def _edges(self, turn: int) -> Sequence[str]:
        """Connections to two workloads, one of them meshed, and to what is none of the mesh; none is open now
        and then.
        """
        to = 'tcp_open_connections{direction="outbound",peer="dst",dst_namespace="default",target_port='
        secured = 'dst_deployment="voting",tls="true",server_id="voting.default"'
        plain = 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'
        lines = [
            f'{to}"1",{secured}}} {turn % 3}',
            f'{to}"2",{secured}}} {self._seed}',
            f'{to}"1",dst_deployment="chat",{plain}}} {turn % 2}',
            f'{to}"1",dst_deployment="",{plain}}} {turn}',
            f'tcp_open_connections{{direction="outbound",peer="src",tls="no_identity"}} {turn}',
        ]
        return lines if turn % 7 else lines[:1]

    def _histogram(self, age: int) -> Sequence[str]:
        counts = [age * self._seed * position for position, _ in enumerate(BOUNDS)]
        return [
            f'response_latency_ms_bucket{{direction="inbound",tls="true",le="{bound}"}} {count}'
            for bound, count in zip(BOUNDS, counts, strict=True)
        ]


@asynccontextmanager
async def scraped(
    folder: Path, pods: Mapping[str, Pod], *, interval_s: float = INTERVAL_S
) -> AsyncIterator[Prometheus]:
    servers = {name: WebServer(Starlette(routes=[Route("/metrics", pod.metrics)])) for name, pod in pods.items()}  # fmt: skip
    targets = [
        {
            "targets": [await server.start()],
            "labels": {"namespace": "default", "deployment": "web", "pod": name},
        }
        for name, server in servers.items()
    ]
    interval = f"{int(interval_s * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [{"job_name": "linkerd-proxy", "static_configs": targets}],
    }
    try:
        async with prometheus(folder, config) as running:
            yield running
    finally:
        for server in servers.values():
            await server.stop()


async def copy_samples(prometheus: Prometheus, *, at: float) -> SampleStore:
    """Prometheus' raw samples in a store of ours, scrape by scrape."""
    store = SampleStore()
    for pod in PODS:
        texts: dict[float, list[str]] = defaultdict(list)
        for series in await prometheus.query(f'{{pod="{pod}"}}[5m]', at=at):
            labels = dict(series["metric"])
            name = labels.pop("__name__")
            inside = ",".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
            for time, value in series["values"]:
                # A failed scrape brings `up` alone: the others have a gap there.
                texts[time].append(f"{name}{{{inside}}} {value}")
        for time in sorted(texts):
            key = Key("default", pod)
            store.append(
                key, labels={}, text="\n".join(texts[time]) + "\n", at_ms=round(time * 1000)
            )
    return store


class Both:
    """A store that asks two others everything, and fails where they differ."""

    def __init__(self, embedded: MetricsStore, other: MetricsStore) -> None:
        self._embedded = embedded
        self._other = other
        self.now = 0
        self.asked = 0
        self.groups = 0

    @property
    def longest_window_s(self) -> float:
        return self._other.longest_window_s

    def now_ms(self) -> int:
        return self.now

    async def sum_increase(
        self, family: str, *, selection: Selection, window: Window
    ) -> Mapping[Group, float]:
        ours = await self._embedded.sum_increase(family, selection=selection, window=window)
        theirs = await self._other.sum_increase(family, selection=selection, window=window)
        return self._same(ours, theirs, what=(family, selection, window))

    async def quantiles(
        self, family: str, *, selection: Selection, window: Window, wanted: Sequence[float]
    ) -> Mapping[Group, tuple[float, ...]]:
        asked: dict[str, Any] = {"selection": selection, "window": window, "wanted": wanted}
        ours = await self._embedded.quantiles(family, **asked)
        theirs = await self._other.quantiles(family, **asked)
        for place, quantile in enumerate(wanted):
            self._same(
                {group: values[place] for group, values in ours.items()},
                {group: values[place] for group, values in theirs.items()},
                what=(quantile, family, selection, window),
            )
        return ours

    async def latest(
        self, family: str, *, selection: Selection, at_ms: int
    ) -> Mapping[Group, float]:
        ours = await self._embedded.latest(family, selection=selection, at_ms=at_ms)
        theirs = await self._other.latest(family, selection=selection, at_ms=at_ms)
        return self._same(ours, theirs, what=(family, selection, at_ms))

    def _same(
        self, ours: Mapping[Group, float], theirs: Mapping[Group, float], what: object
    ) -> Mapping[Group, float]:
        self.asked += 1
        self.groups += len(ours)
        assert ours.keys() == theirs.keys(), what
        for group, value in theirs.items():
            same = math.isclose(ours[group], value, rel_tol=1e-9, abs_tol=1e-9)
            assert same or (math.isnan(value) and math.isnan(ours[group])), (what, group)
        return ours


async def compare(both: Both, *, at: float, length_s: float) -> None:
    """Questions that no answer of today has in this form."""
    window = Window(round(at * 1000), round(length_s * 1000))
    for family, selection in (
        ("response_total", REQUESTS),
        ("response_total", BY_POD),
        ("response_total", replace(BY_POD, without={"tls": "disabled"})),
        ("response_total", Selection({"classification": ""}, ("pod",))),
        ("response_total", Selection({"authority": ODD}, ("pod", "authority"))),
        ("tcp_read_bytes_total", CONNECTIONS),
        ("nothing_total", BY_POD),
        ("route_response_total", Selection(group_by=("pod", "dst", "rt_route", "classification"))),
        ("route_response_total", Selection(group_by=("dst",), present=("rt_route",))),
    ):
        await both.sum_increase(family, selection=selection, window=window)
    wanted = (0.01, 0.5, 0.95, 0.99, 1.0)
    family = "response_latency_ms_bucket"
    await both.quantiles(family, selection=BY_POD, window=window, wanted=wanted)
    for selection in (CONNECTIONS, EDGES, Selection(), Selection(group_by=("pod",))):
        await both.latest("tcp_open_connections", selection=selection, at_ms=window.end_ms)


async def ask_everything(both: Both, *, mesh: Mesh, at: float) -> None:
    """Every question that people ask, in all their forms."""
    both.now = round(at * 1000)
    asked = [
        StatAsked(type=kind, namespace="default", window=Length(5.0, "5s"), **more)
        for kind in (Kind.ALL, Kind.DEPLOYMENT, Kind.POD, Kind.AUTHORITY)
        for more in (
            {},
            {"to_type": Kind.DEPLOYMENT, "to_name": "voting"},
            {"to_type": Kind.AUTHORITY, "to_name": ODD},
            {"from_type": Kind.DEPLOYMENT, "from_name": "web"},
        )
    ]
    for one in asked:
        query = StatQuery.of(one, longest_window_s=both.longest_window_s)
        await answer_of(query, metrics=both, mesh=mesh)
    for kind in (Kind.DEPLOYMENT, Kind.POD):
        await find_edges(Ends(kind), metrics=both, mesh=mesh)
    for family in (BUILD, CERTIFICATE_ENDS, STARTED):
        by_pod = Selection(group_by=("namespace", "pod", "version"))
        await both.latest(family, selection=by_pod, at_ms=both.now)


def the_mesh() -> Mesh:
    store = MeshStore()
    owner = Owner(DEPLOYMENT, "web")
    pods = [
        MeshPod("default", name, owner, status="Running", meshed=True, admin_addr="127.0.0.1:1")
        for name in (*PODS, "web-2")
    ]
    store.replace({Workload: [Workload(DEPLOYMENT, "default", "web", 2)], MeshPod: pods})
    return store.mesh


@asynccontextmanager
async def asked(running: Prometheus) -> AsyncIterator[PrometheusApi]:
    api = PrometheusApi(running.url)
    try:
        yield api
    finally:
        await api.close()


@asynccontextmanager
async def asking(
    running: Prometheus, samples: SampleStore
) -> AsyncIterator[tuple[Both, PrometheusApi]]:
    async with asked(running) as api:
        embedded = EmbeddedStore(samples, clock=SystemClock())
        yield Both(embedded, PrometheusStore(api, clock=SystemClock())), api


async def test_answers_are_those_of_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `up` stands for the scrape itself, so that failed ones have their place in the timeline.
    kept = {"response_total", "response_latency_ms_bucket", "route_response_total", "tcp_open_connections", "tcp_read_bytes_total", "up", BUILD, STARTED}  # fmt: skip
    monkeypatch.setattr(FAMILIES, frozenset(kept))
    pods = {name: Pod(seed=number) for number, name in enumerate(PODS, start=1)}
    async with within(55), scraped(tmp_path, pods) as running:
        await eventually_async(
            lambda: all(pod.turns >= TURNS for pod in pods.values()), deadline_s=30
        )
        (newest,) = await running.query("max(timestamp(up))", at=datetime.now(UTC).timestamp())
        last = float(newest["value"][1])
        samples = await copy_samples(running, at=last)
        async with asking(running, samples) as (both, _):
            for steps_back in range(0, TURNS, 3):
                at = round(last - steps_back * INTERVAL_S - 0.037, 3)
                for length_s in (0.25, 1.0, 2.5, 60.0):
                    await compare(both, at=at, length_s=length_s)
                await ask_everything(both, mesh=the_mesh(), at=at)
            assert min(both.asked, both.groups) > 1000


async def test_what_prometheus_says_of_its_scrapes(tmp_path: Path) -> None:
    pods = {name: Pod(seed=1) for name in PODS}
    # Seconds, so that a busy machine fails no scrape.
    async with within(55), scraped(tmp_path, pods, interval_s=1.0) as running:
        await eventually_async(lambda: all(pod.turns >= 2 for pod in pods.values()), deadline_s=30)
        async with asked(running) as api:
            clock = SystemClock()
            reports = PrometheusReports(api, mesh=the_mesh(), clock=clock, interval_s=1.0)
            found = await reports.reports()
            assert [key.name for key in found] == [*PODS, "web-2"]
            nothing = found[Key("default", "web-2")]
            assert (nothing.last_success, nothing.failure) == (None, "")

            pods["web-1"].is_down = True
            stopped = clock.wall()

            async def told() -> tuple[Report, Report] | None:
                found = await reports.reports()
                well, ill = (found[Key("default", name)] for name in PODS)
                return (well, ill) if ill.failure and not well.failure else None

            well, ill = await eventually_async(told, deadline_s=20, what="one failed scrape")
            assert well.last_success is not None
            assert ill.last_success is not None
            assert ill.last_success <= min(stopped + 1, well.last_success)


# ---- A history of hours, written into both

STEP_S = 10
SCRAPES = 3 * 360
BEGAN = 1_700_000_000


def history(seed: int) -> Iterator[tuple[int, dict[str, dict[str, float]]]]:
    """The time of each scrape in seconds, and the samples of each pod by their heads."""
    dice = random.Random(seed)
    heads = {
        pod: [
            f'response_total{{direction="inbound",tls="{tls}",classification="{end}"}}'
            for tls in ("true", "disabled")
            for end in ("success", "failure")
        ]
        + [f'response_latency_ms_bucket{{direction="inbound",le="{bound}"}}' for bound in BOUNDS]
        for pod in PODS
    }
    counts = {pod: dict.fromkeys(heads[pod], 0.0) for pod in PODS}
    for turn in range(SCRAPES):
        scraped_now = {}
        for pod in PODS:
            if dice.random() < 0.003:
                # The process starts anew.
                counts[pod] = dict.fromkeys(heads[pod], 0.0)
            steps = [dice.randrange(5) for _ in BOUNDS]
            for place, head in enumerate(heads[pod]):
                bucket = place - 4
                grown = dice.randrange(100) if bucket < 0 else sum(steps[: bucket + 1])
                counts[pod][head] += grown * (0.5 if "disabled" in head else 1)
            level = {'tcp_open_connections{direction="inbound",peer="src"}': dice.randrange(9)}
            scraped_now[pod] = {**counts[pod], **level}
        yield BEGAN + turn * STEP_S, scraped_now


def open_metrics(scrapes: Sequence[tuple[int, Mapping[str, Mapping[str, float]]]]) -> str:
    """Family by family, as the format wants it; as gauges, of which any name is taken."""
    by_family: dict[str, list[str]] = defaultdict(list)
    for time, pods in scrapes:
        for pod, lines in pods.items():
            labels = f'namespace="default",deployment="web",pod="{pod}"'
            for head, value in lines.items():
                name, _, inside = head.partition("{")
                by_family[name].append(f"{name}{{{labels},{inside} {value!r} {time}")
    text = []
    for name, lines in by_family.items():
        text += [f"# TYPE {name} unknown", *lines]
    return "\n".join([*text, "# EOF", ""])


async def test_a_history_of_hours_gives_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"response_total", "response_latency_ms_bucket", "tcp_open_connections"}
    monkeypatch.setattr(FAMILIES, frozenset(kept))
    scrapes = list(history(seed=17))
    backfill(tmp_path, open_metrics(scrapes))
    samples = SampleStore(retention_s=1e6)
    for time, pods in scrapes:
        for pod, lines in pods.items():
            text = "".join(f"{head} {value!r}\n" for head, value in lines.items())
            labels = {"namespace": "default", "deployment": "web", "pod": pod}
            samples.append(Key("default", pod), labels=labels, text=text, at_ms=time * 1000)
    dice = random.Random(3)
    async with (
        within(55),
        prometheus(tmp_path, {}) as running,
        asking(running, samples) as (both, _),
    ):
        for _ in range(25):
            at = BEGAN + dice.uniform(STEP_S, SCRAPES * STEP_S)
            length_s = dice.choice((15.0, 60.0, 600.0, 3600.0))
            await compare(both, at=round(at, 3), length_s=length_s)
        await ask_everything(both, mesh=the_mesh(), at=BEGAN + SCRAPES * STEP_S)
        assert min(both.asked, both.groups) > 400
