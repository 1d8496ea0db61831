"""Questions about a large mesh take many turns of the event loop, so that none of them is long."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from starlette.datastructures import QueryParams

from linkerd2_py.base import slices
from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Workload
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.encode import BATCH, encode
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

PODS = 400
STEP_S = slices.SLICE_S / 10
# How many looks at the clock a turn may have: those of its slice, and the one that ends it.
MOST = 12
TEXT = """\
response_total{direction="inbound",classification="success"} %d
response_latency_ms_bucket{direction="inbound",le="+Inf"} %d
tcp_open_connections{direction="outbound",peer="dst",dst_namespace="d",dst_deployment="w1"} %d
process_start_time_seconds %d
"""


async def no_problem() -> str:
    return ""


def parts() -> Parts:
    local_mesh, samples, clock = LocalMesh(), SampleStore(), ManualClock()
    pods = [
        Replica("d", f"w{at}-0", f"w{at}", "127.0.0.1", ready=True, status="Running")
        for at in range(PODS)
    ]
    workloads = [Workload(DEPLOYMENT, "d", f"w{at}", 1) for at in range(PODS)]
    local_mesh.apply(deployments=workloads, pods=pods)
    for second in (1, 2):
        clock.advance(1)
        for pod in pods:
            labels = {"namespace": "d", "pod": pod.name, "deployment": pod.workload}
            text = TEXT % ((second,) * 4)
            samples.append(pod.key, labels=labels, text=text, at_ms=second * 1000)
    return Parts(
        mesh=local_mesh.mesh,
        destination=Destination(local_mesh.store, metrics=CollectorRegistry()),
        metrics=EmbeddedStore(samples, clock=clock),
        reports=Scraper(local_mesh.store, store=samples, clock=clock),
        clock=clock,
        proxy_api_problem=no_problem,
    )


class Loop:
    """How often the event loop turned; every look at the clock costs a tenth of a slice."""

    def __init__(self) -> None:
        self.turns = 0
        self.looks = 0
        self.going = True

    def perf_counter(self) -> float:
        self.looks += 1
        return self.looks * STEP_S

    def count(self) -> None:
        self.turns += 1
        if self.going:
            asyncio.get_running_loop().call_soon(self.count)


@pytest.mark.parametrize(
    ("path", "query", "steps"),
    [
        # Three families that the store has, of a step a pod each, then what was found and the rows.
        ("stat", "type=deploy", 3 * PODS),
        ("stat", "type=po", 3 * PODS),
        ("stat", "type=ns", 3 * PODS),
        ("edges", "type=deploy", PODS),
        ("pods", "", 2 * PODS),
        ("workloads", "", PODS),
    ],
)
async def test_a_long_answer_takes_many_turns(
    monkeypatch: pytest.MonkeyPatch, path: str, query: str, steps: int
) -> None:
    by_path = {operation.path: operation for operation in operations(parts())}
    operation = by_path[f"/api/v1/{path}"]
    loop = Loop()
    monkeypatch.setattr(slices, "perf_counter", loop.perf_counter)
    loop.count()
    answer = await operation.run(operation.declaration.read(QueryParams(query)))
    loop.going = False
    assert loop.turns >= steps / MOST
    assert any(answer.values())


async def test_a_long_answer_is_written_in_many_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    monkeypatch.setattr(slices, "perf_counter", loop.perf_counter)
    loop.count()
    await encode({"pods": [{"name": str(at)} for at in range(20_000)]})
    loop.going = False
    assert loop.turns >= 20_000 / BATCH / MOST
