"""What one pod exposes, however odd, is its own: every question is answered, and the others' answers are as
ever.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Key, Workload
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.operations import Parts, operations
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

GOOD = 'response_total{direction="inbound",classification="success"} %d\n'
BUCKETS = "".join(f'response_latency_ms_bucket{{direction="inbound",le="{le}"}} %s\n' for le in ("1", "2", "+Inf"))  # fmt: skip
ODD = {
    "counter": 'response_total{direction="inbound",classification="success"} %s\n',
    "buckets": BUCKETS,
    "bounds": "".join(
        f'response_latency_ms_bucket{{direction="inbound",le="{le}"}} %s\n'
        for le in ("-Inf", "NaN", "x", "1e308", "1e999")
    ),
    "gauge": 'tcp_open_connections{direction="inbound",peer="src"} %s\n',
    "edge": 'tcp_open_connections{direction="outbound",peer="dst",dst_deployment="web"} %s\n',
    "start": "process_start_time_seconds %s\n",
    "expiry": "process_start_time_seconds 1\ncontrol_identity_cert_expiration_timestamp_seconds %s\n",
    "build": 'proxy_build_info{version="1"} %s\n',
}
QUESTIONS = {
    "/api/v1/stat": {"type": "deploy"},
    "/api/v1/pods": {},
    "/api/v1/edges": {"type": "deploy"},
    "/api/v1/self-check": {},
}


async def no_problem() -> str:
    return ""


def parts_of(samples: SampleStore, *, clock: ManualClock) -> Parts:
    local_mesh = LocalMesh()
    pods = [
        Replica("d", f"{name}-0", name, ip, ready=True, status="Running", identity=f"{name}.d")
        for name, ip in (("web", "127.0.0.1"), ("bad", "127.0.0.2"))
    ]
    local_mesh.apply(
        deployments=[Workload(DEPLOYMENT, "d", "web", 1), Workload(DEPLOYMENT, "d", "bad", 1)],
        pods=pods,
    )
    issuer, _ = throw_away(TrustDomain(), now=clock.wall())
    trust = Trust(
        anchors=issuer.anchors,
        chain=issuer.chain,
        ends=issuer.ends,
        leaf_lifetime=timedelta(days=1),
        problem="",
    )
    return Parts(
        mesh=local_mesh.mesh,
        destination=Destination(local_mesh.store, metrics=CollectorRegistry()),
        metrics=EmbeddedStore(samples, clock=clock),
        reports=Scraper(local_mesh.store, store=samples, clock=clock),
        clock=clock,
        proxy_api_problem=no_problem,
        trust=lambda: trust,
    )


@pytest.mark.parametrize(
    "value", ["+Inf", "-Inf", "NaN", "1e308", "-1e308", "1e19", "-1e19", "1e15", "0", "-1"]
)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
async def test_one_pods_odd_metrics_spoil_no_answer(text: str, value: str) -> None:
    clock, samples = ManualClock(), SampleStore()
    for turn in range(3):
        at_ms = int(clock.monotonic() * 1000)
        bad = text.replace("%s", value if turn else "0")
        for name, exposed in (("web", GOOD % (turn * 5)), ("bad", bad)):
            labels = {"namespace": "d", "pod": f"{name}-0", "deployment": name}
            samples.append(Key("d", f"{name}-0"), labels=labels, text=exposed, at_ms=at_ms)
        clock.advance(2)
    answers = {}
    for operation in operations(parts_of(samples, clock=clock)):
        if operation.path in QUESTIONS:
            asked = operation.declaration.read(QueryParams(QUESTIONS[operation.path]))
            found = await operation.run(asked)
            json.dumps(found, allow_nan=False)
            answers[operation.path] = found
    assert answers.keys() == QUESTIONS.keys()
    (table,) = answers["/api/v1/stat"]["tables"]  # type: ignore[misc]
    (web,) = (row for row in table["rows"] if row["name"] == "web")
    assert web["stats"]["success"] == pytest.approx(15.0)
