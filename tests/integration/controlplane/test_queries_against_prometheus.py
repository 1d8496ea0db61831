"""The sample store gives the answers of a real Prometheus to the closed set of queries.

Prometheus scrapes two small servers whose counters grow, reset, come and go; its raw samples are put into our
store, and both are asked the same for several moments and windows.
"""

import json
import math
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.server import WebServer
from tests.support.ports import free_address
from tests.support.processes import Child
from tests.support.wait import eventually_async, within

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")

INTERVAL_S = 0.1
TURNS = 30
BOUNDS = ("1", "2", "3", "4", "5", "10", "20", "50", "100", "1000", "+Inf")
PODS = ("web-0", "web-1")
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
        self._seed = seed

    async def metrics(self, _request: Request) -> Response:
        self.turns += 1
        turn = self.turns
        # The second pod does not answer for a while, then its process starts anew.
        if self._seed == 2 and 12 <= turn < 16:
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


class Prometheus:
    def __init__(self, url: str) -> None:
        self._client = httpx2.AsyncClient(base_url=url, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def is_ready(self) -> bool:
        try:
            return (await self._client.get("/-/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async def query(self, expression: str, *, at: float) -> list[dict[str, object]]:
        params = {"query": expression, "time": f"{at:.3f}"}
        response = await self._client.get("/api/v1/query", params=params)
        assert response.status_code == 200, response.text
        result: list[dict[str, object]] = response.json()["data"]["result"]
        return result


@asynccontextmanager
async def scraped(folder: Path, pods: Mapping[str, Pod]) -> AsyncIterator[Prometheus]:
    servers = {name: WebServer(Starlette(routes=[Route("/metrics", pod.metrics)])) for name, pod in pods.items()}  # fmt: skip
    targets = [
        {
            "targets": [await server.start()],
            "labels": {"namespace": "default", "deployment": "web", "pod": name},
        }
        for name, server in servers.items()
    ]
    interval = f"{int(INTERVAL_S * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [{"job_name": "linkerd-proxy", "static_configs": targets}],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    host, port = free_address()
    argv = [
        PROMETHEUS or "",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={host}:{port}",
    ]
    with Child.start(argv, log=folder / "prometheus.log"):
        prometheus = Prometheus(f"http://{host}:{port}")
        try:
            await eventually_async(prometheus.is_ready, deadline_s=30, what="prometheus ready")
            yield prometheus
        finally:
            await prometheus.close()
            for server in servers.values():
                await server.stop()


async def copy_samples(prometheus: Prometheus, *, at: float) -> SampleStore:
    """Prometheus' raw samples in a store of ours, scrape by scrape."""
    store = SampleStore()
    for pod in PODS:
        texts: dict[float, list[str]] = defaultdict(list)
        for series in await prometheus.query(f'{{pod="{pod}"}}[5m]', at=at):
            labels = dict(series["metric"])  # type: ignore[call-overload]
            name = labels.pop("__name__")
            inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
            for time, value in series["values"]:  # type: ignore[attr-defined]
                # A failed scrape brings `up` alone: the others have a gap there.
                texts[time].append(f"{name}{{{inside}}} {value}")
        for time in sorted(texts):
            key = Key("default", pod)
            store.append(
                key, labels={}, text="\n".join(texts[time]) + "\n", at_ms=round(time * 1000)
            )
    return store


def by_group(result: list[dict[str, object]], *, by: tuple[str, ...]) -> dict[Group, float]:
    found = {}
    for entry in result:
        metric: dict[str, str] = entry["metric"]  # type: ignore[assignment]
        value: tuple[float, str] = entry["value"]  # type: ignore[assignment]
        found[tuple(metric.get(label, "") for label in by)] = float(value[1])
    return found


def promql(selection: Selection) -> tuple[str, str]:
    equal = [f'{label}="{value}"' for label, value in selection.matching.items()]
    present = [f'{label}!=""' for label in selection.present]
    without = [f'{label}!="{value}"' for label, value in selection.without.items()]
    return ",".join([*equal, *present, *without]), ",".join(selection.group_by)


def assert_same(ours: Mapping[Group, float], theirs: Mapping[Group, float], what: str) -> None:
    assert ours.keys() == theirs.keys(), what
    for group, value in theirs.items():
        same = math.isclose(ours[group], value, rel_tol=1e-9, abs_tol=1e-9)
        assert same or (math.isnan(value) and math.isnan(ours[group])), (what, group)


async def compare(
    prometheus: Prometheus, store: MetricsStore, *, at: float, length_s: float
) -> None:
    window = Window(round(at * 1000), round(length_s * 1000))
    span = f"{int(length_s * 1000)}ms"
    for family, selection in (
        ("response_total", REQUESTS),
        ("response_total", BY_POD),
        ("tcp_read_bytes_total", CONNECTIONS),
    ):
        matchers, by = promql(selection)
        expression = f"sum(increase({family}{{{matchers}}}[{span}])) by ({by})"
        ours = await store.sum_increase(family, selection=selection, window=window)
        theirs = by_group(await prometheus.query(expression, at=at), by=selection.group_by)
        assert_same(ours, theirs, f"{expression} @ {at}")

    matchers, by = promql(BY_POD)
    family = "response_latency_ms_bucket"
    wanted = (0.5, 0.95, 0.99)
    mine = await store.quantiles(family, selection=BY_POD, window=window, wanted=wanted)
    for index, quantile in enumerate(wanted):
        inner = f"sum(rate({family}{{{matchers}}}[{span}])) by (le, {by})"
        expression = f"histogram_quantile({quantile}, {inner})"
        theirs = by_group(await prometheus.query(expression, at=at), by=BY_POD.group_by)
        ours = {group: values[index] for group, values in mine.items()}
        assert_same(ours, theirs, f"{expression} @ {at}")

    for selection in (CONNECTIONS, EDGES):
        matchers, by = promql(selection)
        expression = f"sum(tcp_open_connections{{{matchers}}}) by ({by})"
        family = "tcp_open_connections"
        ours = await store.latest(family, selection=selection, at_ms=round(at * 1000))
        theirs = by_group(await prometheus.query(expression, at=at), by=selection.group_by)
        assert_same(ours, theirs, f"{expression} @ {at}")


async def test_answers_are_those_of_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `up` stands for the scrape itself, so that failed ones have their place in the timeline.
    families = "linkerd2_py.controlplane.metrics.embedded.ring.FAMILIES"
    kept = {"response_total", "response_latency_ms_bucket", "tcp_open_connections", "tcp_read_bytes_total", "up"}  # fmt: skip
    monkeypatch.setattr(families, frozenset(kept))
    pods = {name: Pod(seed=number) for number, name in enumerate(PODS, start=1)}
    async with within(55), scraped(tmp_path, pods) as prometheus:
        await eventually_async(
            lambda: all(pod.turns >= TURNS for pod in pods.values()), deadline_s=30
        )
        (newest,) = await prometheus.query("max(timestamp(up))", at=datetime.now(UTC).timestamp())
        last = float(newest["value"][1])  # type: ignore[index]
        samples = await copy_samples(prometheus, at=last)
        store = EmbeddedStore(samples, clock=SystemClock())
        for steps_back in range(0, TURNS, 3):
            at = round(last - steps_back * INTERVAL_S - 0.037, 3)
            for length_s in (0.25, 1.0, 2.5, 60.0):
                await compare(prometheus, store, at=at, length_s=length_s)
