"""What a replica gets: ports, and the environment of its proxy and of its program."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.place import env as envs
from linkerd2_py.controlplane.local.place.env import proxy_env, workload_env
from linkerd2_py.controlplane.local.place.loopback.plan import plan_pod
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import OutboundSpec
from linkerd2_py.proxy.config.load import load
from tests.support.pod_identity import secured
from tests.support.shop import MESH

IP = "127.0.15.9"
WEB = "web.shop.serviceaccount.identity.linkerd.cluster.local"


@pytest.fixture
def web() -> PodPlan:
    return _plan("web")


def _plan(name: str, *, mesh: str = MESH) -> PodPlan:
    spec = parse_mesh(mesh, source="mesh.yaml").workloads[name]

    def door(out: OutboundSpec) -> str:
        return f"127.0.0.1:7080/{out.authority}"

    return plan_pod(spec, name=f"{name}-0", ip=IP, door=door)


def test_peers_connect_to_the_proxy_and_the_proxy_to_the_program(web: PodPlan) -> None:
    assert set(web.ports) == set(web.serve) == {8080, 9000}
    assert not set(web.ports.values()) & set(web.serve.values())
    assert web.admin_addr == f"{IP}:{web.admin_port}"


def test_proxy_environment(web: PodPlan) -> None:
    env = proxy_env(web, base={"PATH": "/bin"}, proxy_api="127.0.0.1:8086")
    static = web.calls["CART_SVC_ADDR"]
    assert env["PATH"] == "/bin"
    assert env["LINKERD2_PROXY_DESTINATION_SVC_ADDR"] == "127.0.0.1:8086"
    assert env["LINKERD2_PROXY_DESTINATION_CONTEXT"] == '{"ns": "shop", "pod": "web-0"}'
    assert (
        env["LINKERD2_PROXY_OUTBOUND_STATIC_PORTS"]
        == f"{static}=cart-svc.shop.svc.cluster.local:80"
    )
    http, feed = env["LINKERD2_PROXY_INBOUND_STATIC_PORTS"].split(",")
    assert http == f"{IP}:{web.ports[8080]}={IP}:{web.serve[8080]}"
    assert feed == f"{IP}:{web.ports[9000]}={IP}:{web.serve[9000]}/opaque"


def test_peers_reach_the_inbound_listener_of_the_proxy(web: PodPlan) -> None:
    env = proxy_env(web, base={}, proxy_api="127.0.0.1:8086")
    assert env["LINKERD2_PROXY_INBOUND_LISTEN_ADDR"] == f"{IP}:{web.inbound_port}"
    assert _plan("cart").inbound_port == 0


def test_without_a_policy_the_proxy_decides(web: PodPlan) -> None:
    env = proxy_env(web, base={}, proxy_api="127.0.0.1:8086")
    assert env["LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS"] == "127.0.0.0/8"
    assert "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY" not in env
    assert "LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY" not in env


def test_a_policy_reaches_the_proxy_with_either_number_of_a_port() -> None:
    policy = "defaultInboundPolicy: cluster-authenticated\n    requireIdentityPorts: [9000]"
    web = _plan("web", mesh=MESH.replace("env:", f"{policy}\n    env:"))
    env = proxy_env(web, base={}, proxy_api="127.0.0.1:8086")
    assert env["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY"] == "cluster-authenticated"
    guarded = f"{web.ports[9000]},{web.serve[9000]}"
    assert env["LINKERD2_PROXY_INBOUND_PORTS_REQUIRE_IDENTITY"] == guarded


def test_the_proxy_reads_who_it_is(web: PodPlan, tmp_path: Path) -> None:
    assert web.identity == ""
    plan = secured(web, folder=tmp_path, address="127.0.0.1:8086")
    config = load(proxy_env(plan, base={}, proxy_api="127.0.0.1:8086"))
    assert config.identity is not None
    assert config.identity.local_name == plan.identity == WEB
    assert config.identity.directory == str(plan.proxy_placement.reach)
    assert len(config.inbound_static) == 2
    assert config.not_used_yet == ()


def test_program_environment(web: PodPlan) -> None:
    env = workload_env(web, base={"PATH": "/bin"})
    assert (env["HOST"], env["PORT"]) == (IP, str(web.serve[8080]))
    assert (env["PORT_8080"], env["PORT_9000"]) == (str(web.serve[8080]), str(web.serve[9000]))
    assert env["POD_NAMESPACE"] == "shop"
    assert env["CART_SVC_ADDR"].startswith(f"{IP}:")
    assert (env["COLOUR"], env["POD_NAME"]) == ("blue", "mine")


def test_unmeshed_program_is_what_peers_connect_to() -> None:
    cart = _plan("cart")
    assert cart.ports == cart.serve
    assert cart.admin_addr is None
    assert cart.calls == {"WEB_SVC_ADDR": "127.0.0.1:7080/web-svc.shop.svc.cluster.local:80"}


def test_readiness_is_asked_of_the_program(web: PodPlan) -> None:
    assert web.probe_port == web.serve[8080]


def test_leading_python_is_this_interpreter(web: PodPlan) -> None:
    assert envs.workload_argv(web.spec) == (sys.executable, "-m", "web")
    assert envs.workload_argv(_plan("cart").spec) == ("./cart",)


def test_children_inherit_nothing_that_leads_past_the_mesh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere")
    monkeypatch.setenv("LINKERD2_PROXY_LOG", "debug")
    monkeypatch.setenv("LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "0.0.0.0:1")
    monkeypatch.setenv("PYTHONPATH", "src::relative")
    env = envs.base_env()
    assert not {name for name in env if name.lower().endswith("_proxy")}
    assert not {name for name in env if name.startswith("LINKERD2_PROXY_")}
    assert all(Path(entry).is_absolute() for entry in env["PYTHONPATH"].split(":"))


def test_log_level_of_proxies_is_passed_on(monkeypatch: pytest.MonkeyPatch, web: PodPlan) -> None:
    monkeypatch.setenv("LINKERD2_PROXY_LOG", "debug")
    monkeypatch.setenv("LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "0.0.0.0:1")
    monkeypatch.setenv("LINKERD2_PROXY_ACCESS_LOG", "json")
    env = proxy_env(web, base={}, proxy_api="127.0.0.1:8086")
    assert env["LINKERD2_PROXY_LOG"] == "debug"
    assert env["LINKERD2_PROXY_ACCESS_LOG"] == "json"
    assert env["LINKERD2_PROXY_ADMIN_LISTEN_ADDR"] == web.admin_addr


def test_what_the_proxy_is_told_is_said_to_those_that_ask_too() -> None:
    policy = "defaultInboundPolicy: cluster-authenticated\n    requireIdentityPorts: [9000]"
    web = _plan("web", mesh=MESH.replace("env:", f"{policy}\n    env:"))
    assert web.inbound.policy == "cluster-authenticated"
    assert web.inbound.identified == {web.ports[9000], web.serve[9000]}
    assert web.inbound.opaque == {web.ports[9000], web.serve[9000]}
    assert web.inbound.names_of(web.ports[9000]) == ["9000"]
    assert web.inbound.names_of(web.serve[9000]) == ["9000"]
    asked = {(probe.port, probe.path) for probe in web.inbound.probes}
    assert asked == {
        (web.admin_port, path) for path in ("/endpoints.json", "/live", "/metrics", "/ready")
    }
    assert _plan("cart").inbound == NOTHING_SAID
