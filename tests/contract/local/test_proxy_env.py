"""The environment local mode gives to a sidecar, read by the sidecar's own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.place.env import proxy_env
from linkerd2_py.controlplane.local.place.loopback.plan import plan_pod
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.local.supervise.launcher import SAMPLE_MESH_FILE
from linkerd2_py.controlplane.sources.local.mesh_file import load_mesh_file
from linkerd2_py.proxy.config.load import load
from tests.support.pod_identity import secured

MESH = load_mesh_file(SAMPLE_MESH_FILE)
IP = "127.0.14.7"


def _plan(name: str, *, folder: Path) -> PodPlan:
    plan = plan_pod(MESH.workloads[name], name=f"{name}-0", ip=IP, door=lambda out: out.authority)
    return secured(plan, folder=folder, address="127.0.0.1:8086")


@pytest.mark.parametrize("name", list(MESH.workloads))
def test_every_workload_of_the_sample_gets_an_environment_its_proxy_takes(
    name: str, tmp_path: Path
) -> None:
    plan = _plan(name, folder=tmp_path)
    config = load(proxy_env(plan, base={"PATH": "/bin"}, proxy_api="127.0.0.1:8086"))
    assert str(config.admin.listen) == plan.admin_addr
    assert len(config.outbound_static) == len(plan.calls)
    assert len(config.inbound_static) == len(plan.ports)
    assert config.shutdown_grace_s == 5
    assert config.destination is not None
    assert config.policy is not None
    assert config.policy.service == config.destination.service
    assert config.policy.workload == f'{{"ns": "emojivoto", "pod": "{name}-0"}}'
    assert config.inbound_policy.judges_localhost
    assert config.admin.shows_metrics
    assert config.identity is not None
    assert config.identity.local_name == plan.identity
    assert plan.identity.startswith(f"{name}.emojivoto.serviceaccount.")


def test_the_feed_is_opaque_and_the_chat_is_not(tmp_path: Path) -> None:
    plan = _plan("chat", folder=tmp_path)
    config = load(proxy_env(plan, base={}, proxy_api="127.0.0.1:8086"))
    opaque = {static.listen.port: static.opaque for static in config.inbound_static}
    assert opaque == {plan.ports[8080]: False, plan.ports[9000]: True}
