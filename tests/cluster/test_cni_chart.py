"""The CNI plugin's chart by real Helm, and its objects before a real API server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from linkerd2_py.charts.cni import CHART, cni_values, render_cni
from linkerd2_py.charts.values import Layers
from tests.support.cluster import programs
from tests.support.cluster.kubectl import Kubectl

pytestmark = pytest.mark.timeout(600)

KUBE = f"--kube-version=v{programs.version()}"
"""Without a cluster Helm takes it for an old one."""
SAID = (
    (),
    (
        "disableIPv6=false",
        "proxyGID=7",
        "ignoreInboundPorts=25\\,4000-4010",
        "skipSubnets=fd00::/8",
    ),
    ("repairController.enabled=false", "privileged=true", "destCNIBinDir=/etc/cni/net.d"),
    (
        *("commonLabels.team=a", "podLabels.tier=node", "priorityClassName=system-node-critical"),
        *("imagePullSecrets[0].name=s", "image.name=r.example:5000/x", "resources.cpu.request=50m"),
    ),
)


@pytest.fixture(scope="session")
def helm() -> str:
    if not programs.TOOLS.built():
        pytest.skip("Helm is not built: ./mesh cluster build")
    return str(programs.helm())


def by_name(objects: Any) -> dict[tuple[str, str], Any]:
    return {(one["kind"], one["metadata"]["name"]): one for one in objects if one}


@pytest.mark.parametrize("said", SAID)
def test_helm_makes_the_same_objects(helm: str, said: tuple[str, ...]) -> None:
    words = [f"--set={one}" for one in said]
    argv = [helm, "template", "x", str(CHART), "--namespace=linkerd-cni", KUBE, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, *ours = render_cni(cni_values(Layers(set=said)))
    assert by_name(yaml.safe_load_all(done.stdout)) == by_name(ours)


def test_helm_refuses_what_we_refuse(helm: str) -> None:
    argv = [helm, "template", "x", str(CHART), "--set=inboundProxyPort=0", KUBE]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "inboundProxyPort" in done.stderr


def test_an_api_server_takes_them_and_the_account_may_do_its_work_and_no_more(
    kubectl: Kubectl,
) -> None:
    made = render_cni(cni_values(Layers()), namespace="cni-chart")
    kubectl("create", "namespace", "cni-chart")
    kubectl("label", "namespace", "cni-chart", "pod-security.kubernetes.io/enforce=privileged")
    text = yaml.safe_dump_all(made)
    said = kubectl("apply", "--validate=strict", "-f", "-", stdin=text)
    assert len(said.splitlines()) == len(made)
    account = "--as=system:serviceaccount:cni-chart:linkerd-cni"

    def may(*words: str) -> bool:
        return kubectl.try_("auth", "can-i", *words, account).stdout.strip() == "yes"

    try:
        for words in (
            ("get", "pods", "--all-namespaces"),
            ("watch", "pods", "--all-namespaces"),
            ("delete", "pods", "--all-namespaces"),
            ("get", "namespaces"),
            ("get", "services/kubernetes", "--namespace=default"),
            ("get", "daemonsets.apps/linkerd-cni", "--namespace=cni-chart"),
            ("create", "events.events.k8s.io", "--all-namespaces"),
        ):
            assert may(*words), words
        for words in (
            ("get", "secrets", "--all-namespaces"),
            ("create", "pods", "--all-namespaces"),
            ("get", "services/other", "--namespace=default"),
            ("get", "daemonsets.apps/other", "--namespace=cni-chart"),
            ("delete", "daemonsets.apps/linkerd-cni", "--namespace=cni-chart"),
            ("get", "nodes"),
            ("patch", "pods", "--all-namespaces"),
        ):
            assert not may(*words), words
        found = json.loads(
            kubectl("get", "daemonset", "linkerd-cni", "--namespace=cni-chart", "-o", "json")
        )
        assert found["spec"]["template"]["spec"]["hostNetwork"] is True
    finally:
        kubectl("delete", "-f", "-", "--wait=false", stdin=text)
