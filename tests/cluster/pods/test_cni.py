"""The CNI plugin on a node with a kubelet: one story from its installation to its end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py import __version__
from linkerd2_py.charts.cni import cni_values, render_cni
from linkerd2_py.charts.values import Layers
from tests.support.cluster.node import workloads
from tests.support.cluster.node.mesh import Mesh
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).parent / "programs"
PROXY, CONTROLLER = (
    f"docker.io/library/linkerd2-py-{name}:{__version__}" for name in ("proxy", "controller")
)
NAMESPACE = "without-init"
LONG_S = 180.0
LIST = Path("etc/cni/net.d/10-pods.conflist")
PLUGIN = Path("opt/cni/bin/linkerd-cni")


@pytest.fixture(scope="module")
def with_images(node: Node) -> Node:
    """Ours, as `./mesh image` makes them."""
    folder = Path(os.environ.get("L5D_IMAGES", ROOT / "build/image/out"))
    for name in ("proxy", "controller"):
        archive = folder / f"linkerd2-py-{name}.tar"
        if not archive.exists():
            pytest.skip(f"{archive} is not there: ./mesh image")
        node.load(archive)
    return node


def manifest() -> str:
    name, _, tag = CONTROLLER.rpartition(":")
    said = (f"image.name={name}", f"image.version={tag}", "image.pullPolicy=Never")
    return yaml.safe_dump_all(render_cni(cni_values(Layers(set=said))))


@pytest.fixture
def namespace(with_images: Node) -> Iterator[Node]:
    """A namespace with the programs of pods; whatever a test left of the plugin is gone afterwards."""
    kubectl = with_images.kubectl
    # Those of an earlier test may still be going; what never was is gone at once.
    for name in (NAMESPACE, "linkerd-cni"):
        kubectl.try_("wait", "--for=delete", f"namespace/{name}", f"--timeout={LONG_S:.0f}s")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("create", "configmap", "programs", f"--from-file={PROGRAMS}", "-n", NAMESPACE)
    yield with_images
    kubectl.try_("delete", "-f", "-", "--ignore-not-found", stdin=manifest())
    kubectl.try_("delete", "namespace", NAMESPACE, "--wait=false")


def deployment(name: str) -> dict[str, Any]:
    """A program at 8080, and something at 4143 that stands for its proxy: it says what it was asked for."""

    def server(container: str, port: int, user: int) -> dict[str, Any]:
        return {
            "name": container,
            "image": CONTROLLER,
            "imagePullPolicy": "Never",
            "command": ["python3", "/programs/http_server.py"],
            "env": [{"name": "PORT", "value": str(port)}, {"name": "POD_NAME", "value": container}],
            "securityContext": {"runAsUser": user},
            "volumeMounts": [{"name": "programs", "mountPath": "/programs"}],
            "readinessProbe": {"tcpSocket": {"port": port}},
        }

    validator = {
        "name": "linkerd-network-validator",
        "image": PROXY,
        "imagePullPolicy": "Never",
        "command": ["/usr/lib/linkerd/linkerd2-network-validator"],
        "args": ["--timeout", "10s"],
        "securityContext": {"runAsUser": 65534},
    }
    labels = {"app": name, "linkerd.io/control-plane-ns": "linkerd"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"config.linkerd.io/skip-inbound-ports": "8081"},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "initContainers": [validator],
                    "containers": [
                        server("app", 8080, 1000),
                        server("aside", 8081, 1000),
                        server("linkerd-proxy", 4143, 2102),
                    ],
                    "volumes": [{"name": "programs", "configMap": {"name": "programs"}}],
                },
            },
        },
    }


def pods(node: Node, name: str) -> list[dict[str, Any]]:
    return node.items("pods", f"--namespace={NAMESPACE}", f"--selector=app={name}")


def answers(node: Node, name: str, port: int) -> str:
    """Which container, to somebody on the node."""
    (pod,) = pods(node, name)
    program = "import json, sys, urllib.request as r; print(json.load(r.urlopen(sys.argv[1], timeout=20))['pod'])"
    url = f"http://{pod['status']['podIP']}:{port}/"
    done = node.inside("python3", "-c", program, url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def rolled_out(node: Node, name: str) -> None:
    words = ("rollout", "status", f"deployment/{name}", f"--namespace={NAMESPACE}")
    node.kubectl(*words, f"--timeout={LONG_S:.0f}s")


def is_without_rules(node: Node, name: str) -> bool:
    return any(
        one.get(state, {}).get("terminated", {}).get("exitCode") == 95
        for pod in pods(node, name)
        for one in pod["status"].get("initContainerStatuses", ())
        for state in ("state", "lastState")
    )


def own(node: Node) -> tuple[bytes, bool]:
    """The node's list of plugins, and whether ours is there."""
    return (node.root / "own" / LIST).read_bytes(), (node.root / "own" / PLUGIN).exists()


def test_from_the_installation_to_the_end(namespace: Node) -> None:
    node, kubectl = namespace, namespace.kubectl
    before = own(node)
    kubectl.apply(deployment("early"))
    eventually(
        lambda: is_without_rules(node, "early"), deadline_s=LONG_S, what="a pod without rules"
    )
    (lost,) = pods(node, "early")

    kubectl("apply", "-f", "-", stdin=manifest())
    kubectl(
        *("rollout", "status", "daemonset/linkerd-cni", "--namespace=linkerd-cni"),
        f"--timeout={LONG_S:.0f}s",
    )
    # The pod that was too early is made anew, and is like one that comes later.
    rolled_out(node, "early")
    assert lost["metadata"]["uid"] not in {one["metadata"]["uid"] for one in pods(node, "early")}
    events = node.items("events", f"--namespace={NAMESPACE}")
    told = [one for one in events if one["reason"] == "LinkerdCNINotConfigured"]
    assert [one["involvedObject"]["name"] for one in told] == [lost["metadata"]["name"]]
    kubectl.apply(deployment("late"))
    rolled_out(node, "late")
    for name in ("early", "late"):
        assert answers(node, name, 8080) == "linkerd-proxy"
        assert answers(node, name, 8081) == "aside"

    # While the agent is away a new pod waits, and then starts with its rules.
    kubectl(
        "delete", "pod", "--namespace=linkerd-cni", "--selector=k8s-app=linkerd-cni", "--wait=false"
    )
    kubectl("rollout", "restart", "deployment/late", f"--namespace={NAMESPACE}")
    rolled_out(node, "late")
    eventually(
        lambda: len(pods(node, "late")) == 1, deadline_s=LONG_S, what="the older pod is gone"
    )
    assert answers(node, "late", 8080) == "linkerd-proxy"

    kubectl("delete", "-f", "-", f"--timeout={LONG_S:.0f}s", stdin=manifest())
    assert own(node) == before
    assert json.loads(before[0])["plugins"][-1]["type"] != "linkerd-cni"


def test_a_mesh_has_no_init_containers(namespace: Node) -> None:
    """Not in the control plane either, whose pods are the first that ask the plugin."""
    namespace.kubectl("apply", "-f", "-", stdin=manifest())
    mesh = Mesh(namespace)
    if mesh.installed():
        mesh.uninstall()
    mesh.install("--linkerd-cni-enabled")
    try:
        assert "Status check results are √" in mesh.cli("check")
        with mesh.namespace("meshed-by-cni") as place:
            spec = workloads.pod_spec(workloads.server("http_server.py"))
            place.apply(workloads.deployment("web", spec), workloads.service("web"))
            place.wait_rolled("deployment/web")
            (answer,) = place.ask("http", "http://web:8080/")
            assert answer["headers"]["l5d-client-id"].startswith("default.meshed-by-cni.")
            pods = [*place.pods("web"), *namespace.items("pods", "--namespace=linkerd")]
        for pod in pods:
            names = [one["name"] for one in pod["spec"]["initContainers"]]
            assert "linkerd-network-validator" in names
            assert "linkerd-init" not in names
    finally:
        mesh.uninstall()
