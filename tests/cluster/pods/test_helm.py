"""The charts in real pods, by Helm: one story from their installation to their end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py import __version__
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.render import CRDS
from linkerd2_py.charts.values import CHART
from linkerd2_py.charts.written import as_yaml
from tests.support.certificates import Signer
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.node.node import Node
from tests.support.helm import Helm
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(900)

CONTROL_PLANE, MESHED = "linkerd", "meshed-by-helm"
CONTROLLER = f"linkerd2-py-controller:{__version__}"
OURS = f"linkerd.io/control-plane-ns={CONTROL_PLANE}"
KINDS = (
    "deployments,services,serviceaccounts,configmaps,secrets,roles,rolebindings,clusterroles,"
    "clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations"
)
WAIT = ("--wait", "--timeout=5m")
LONG_S, VERY_LONG_S = 120.0, 400.0
ASK = """
import urllib.request
statuses = [urllib.request.urlopen("http://web:8080/").status for _ in range(100)]
print(statuses.count(200))
"""


@pytest.fixture(scope="module")
def with_images(node: Node) -> Node:
    """Ours, as `./mesh image` makes them."""
    folder = Path(os.environ.get("L5D_IMAGES", Path(__file__).parents[3] / "build/image/out"))
    for name in ("proxy", "controller"):
        archive = folder / f"linkerd2-py-{name}.tar"
        if not archive.exists():
            pytest.skip(f"{archive} is not there: ./mesh image")
        node.load(archive)
    return node


@pytest.fixture
def kubectl(with_images: Node) -> Iterator[Kubectl]:
    """Of a cluster without a control plane, before and after."""
    found = with_images.kubectl
    remove(found)
    yield found
    found.try_("delete", "namespace", MESHED, "--ignore-not-found", "--wait=false")
    remove(found)


def remove(kubectl: Kubectl) -> None:
    kubectl.try_("delete", KINDS, "--all-namespaces", f"--selector={OURS}")
    kubectl("delete", "namespace", CONTROL_PLANE, "--ignore-not-found")
    names = [f"crd/{path}" for path in crds(kubectl)]
    if names:
        kubectl("delete", *names)


def crds(kubectl: Kubectl) -> list[str]:
    found = json.loads(kubectl("get", "customresourcedefinitions", "--output=json"))["items"]
    names = [one["metadata"]["name"] for one in found]
    return [name for name in names if name.endswith("linkerd.io")]


def values() -> dict[str, Any]:
    """What Helm cannot make."""
    now = SystemClock().wall()
    root = Signer("root.linkerd.cluster.local", starts=now - 60)
    issuer = Signer("identity.linkerd.cluster.local", by=root, starts=now - 60)
    tls = {"crtPEM": issuer.pem.decode(), "keyPEM": issuer.key_pem.decode()}
    return {
        "identityTrustAnchorsPEM": root.pem.decode(),
        "identity": {"issuer": {"tls": tls}},
        "imagePullPolicy": "Never",
    }


def workload() -> list[dict[str, Any]]:
    server = {
        "name": "web",
        "image": CONTROLLER,
        "imagePullPolicy": "Never",
        "command": ["python3", "-m", "http.server", "8080"],
        "ports": [{"containerPort": 8080}],
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [server]}
    metadata = {"name": "web", "namespace": MESHED}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": MESHED, "annotations": {"linkerd.io/inject": "enabled"}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 8080}]},
        },
    ]


def wait_for_proxies(kubectl: Kubectl) -> None:
    kubectl("rollout", "status", "deployment/web", f"--namespace={MESHED}", f"--timeout={LONG_S}s")
    pods = json.loads(kubectl("get", "pods", f"--namespace={MESHED}", "--output=json"))["items"]
    assert all("linkerd-proxy" in json.dumps(pod["spec"]["initContainers"]) for pod in pods)


def test_helm_installs_a_mesh_changes_it_and_leaves_nothing(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    helm = Helm(tmp_path / "helm", kubeconfig=kubectl.kubeconfig)
    given = tmp_path / "values.yaml"
    given.write_text(as_yaml([values()]))
    where = ("--namespace", CONTROL_PLANE, "--create-namespace")
    helm("install", "crds", CRDS.parent, *where)
    # Until every pod is ready, its proxy certified by identity.
    helm("install", "control-plane", CHART, *where, "-f", given, *WAIT)

    kubectl("apply", "--server-side", "--filename=-", stdin=as_yaml(workload()))
    wait_for_proxies(kubectl)
    asks = ("exec", "deployment/web", f"--namespace={MESHED}", "--container=web", "--")
    assert kubectl(*asks, "python3", "-c", ASK).strip() == "100"

    # API servers trust the webhooks of the new pods as they did those of the old ones.
    more = ("--set", "controllerReplicas=2,networkPolicies=true")
    helm("upgrade", "control-plane", CHART, *where, "-f", given, *more, *WAIT)
    kubectl("rollout", "restart", "deployment/web", f"--namespace={MESHED}")
    wait_for_proxies(kubectl)
    assert kubectl(*asks, "python3", "-c", ASK).strip() == "100"
    void = {
        "apiVersion": "policy.linkerd.io/v1alpha1",
        "kind": "NetworkAuthentication",
        "metadata": {"name": "void", "namespace": MESHED},
        "spec": {"networks": [{"cidr": "nonsense"}]},
    }
    refused = kubectl.try_("apply", "--server-side", "--filename=-", stdin=as_yaml([void]))
    assert "spec.networks[0].cidr: 'nonsense'" in refused.stderr

    helm("uninstall", "control-plane", "--namespace", CONTROL_PLANE)
    ours = ("get", f"{KINDS},pods", f"--namespace={CONTROL_PLANE}", f"--selector={OURS}")
    eventually(lambda: kubectl(*ours, "--output=name") == "", deadline_s=LONG_S, what="all is gone")
    helm("uninstall", "crds", "--namespace", CONTROL_PLANE)
    # An API server that fails to empty one tries again at growing distances.
    eventually(lambda: crds(kubectl) == [], deadline_s=VERY_LONG_S, what="no kind is left")
