"""What a replica in a namespace gets: nothing that tells its program of a proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkerd2_py.controlplane.local.place.env import proxy_env, workload_env
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.local.place.transparent.place import without_resolved
from linkerd2_py.controlplane.local.place.transparent.plan import (
    NOBODY,
    PROXY_UID,
    plan_in_namespace,
)
from linkerd2_py.controlplane.local.place.transparent.subnet import Subnet
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.proxy.config.load import load
from tests.support.pod_identity import secured
from tests.support.shop import MESH

WEB = "web.shop.serviceaccount.identity.linkerd.cluster.local"


def _plan(name: str, *, mesh: str = MESH) -> PodPlan:
    return plan_in_namespace(
        parse_mesh(mesh, source="mesh.yaml").workloads[name],
        name=f"{name}-0",
        netns=f"l5d3-{name}-0",
        ips=("10.212.0.16", "fd6c:3564:3::10"),
        subnet=Subnet(3),
        etc=Path("/etc-of-pods"),
    )


def test_programs_use_their_own_ports_and_plain_names() -> None:
    plan = _plan("web")
    env = workload_env(plan, base={})
    assert env["PORT_8080"] == "8080"
    assert env["HOST"] == "0.0.0.0"
    assert env["CART_SVC_ADDR"] == "cart-svc:80"
    assert not [name for name in env if "PROXY" in name.upper()]
    assert plan.ports == plan.serve == {8080: 8080, 9000: 9000}


def test_the_proxy_reads_its_environment(tmp_path: Path) -> None:
    plan = secured(_plan("web"), folder=tmp_path, address="10.212.0.1:8086")
    config = load(proxy_env(plan, base={}, proxy_api="10.212.0.1:8086"))
    assert [str(one) for one in config.outbound.listen] == ["127.0.0.1:4140", "[::1]:4140"]
    assert [str(one) for one in config.inbound.listen] == ["[::]:4143"]
    assert config.inbound.opaque_ports == {9000}
    assert len(config.inbound_ips) == 2
    assert [net.prefix_len for net in config.destination.profile_networks] == [16, 48]
    assert config.inbound_static == config.outbound_static == ()
    assert config.identity is not None
    assert config.identity.service == config.destination.service
    assert config.identity.local_name == plan.identity == WEB
    assert config.not_used_yet == ()


def test_a_policy_is_for_the_networks_of_the_mesh(tmp_path: Path) -> None:
    policy = "defaultInboundPolicy: deny\n    requireIdentityPorts: [9000]"
    plan = _plan("web", mesh=MESH.replace("env:", f"{policy}\n    env:"))
    proxied = secured(plan, folder=tmp_path, address="10.212.0.1:8086")
    found = load(proxy_env(proxied, base={}, proxy_api="10.212.0.1:8086")).inbound_policy
    assert (found.default, found.require_identity) == ("deny", {9000})
    assert [network.prefix_len for network in found.cluster_networks] == [16, 48]
    assert (plan.inbound_port, _plan("cart").inbound_port) == (4143, 0)


def test_rules_come_before_the_proof_that_they_work() -> None:
    plan = _plan("web")
    assert [step.name for step in plan.inits] == [
        "proxy-init",
        "network-validator",
        "network-validator-ipv6",
    ]
    rules, *looks = plan.inits
    assert rules.placement.uid is None
    assert f"--proxy-uid {PROXY_UID}" in " ".join(rules.argv)
    # The proxy's own user is exempt: as that user nothing could be seen.
    assert [step.placement.uid for step in looks] == [NOBODY, NOBODY]
    assert {step.placement.netns for step in plan.inits} == {plan.netns}


def test_an_unmeshed_replica_has_a_namespace_and_no_rules() -> None:
    plan = _plan("cart")
    assert (plan.netns, plan.inits, plan.admin_addr) == ("l5d3-cart-0", (), None)
    assert not plan.intercepted
    assert plan.calls == {"WEB_SVC_ADDR": "web-svc:80"}


def test_programs_run_as_whoever_asked_sudo_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "65534")
    plan = _plan("web")
    assert plan.app_placement.uid == 65534
    assert workload_env(plan, base={"HOME": "/root"})["HOME"] != "/root"
    monkeypatch.setenv("SUDO_UID", "0")
    assert _plan("web").app_placement.uid is None
    monkeypatch.delenv("SUDO_UID")
    assert workload_env(_plan("web"), base={"HOME": "/root"})["HOME"] == "/root"


def test_names_are_asked_of_files_and_dns_only() -> None:
    before = "passwd: files\nhosts:  files mymachines resolve [!UNAVAIL=return] dns\nports: db\n"
    assert without_resolved(before) == "passwd: files\nhosts: files dns\nports: db\n"
