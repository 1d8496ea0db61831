"""What a person asks in the name of a proxy: at an address, and of a pod, through a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py.cli.commands import diagnostics
from linkerd2_py.cli.main import run
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import Controller
from tests.support.cluster.kubelet import Kubelet
from tests.support.cluster.outside import NODE, make_namespace, run_as_pod

from .conftest import Kubectl
from .test_controller import by_hand

pytestmark = pytest.mark.timeout(300)
NAMESPACE = "told"
POD = "linkerd-destination-0"
MESHED = "web-0"
Said = tuple[int, str, str]
Cli = Callable[..., Said]


def meshed_pod(name: str) -> dict[str, Any]:
    """One that has a proxy."""
    containers = [{"name": one, "image": "none"} for one in ("app", "linkerd-proxy")]
    labels = {"linkerd.io/control-plane-ns": "linkerd"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": containers},
    }


@pytest.fixture(autouse=True)
def _no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    for name in ("LINKERD2_PY_API_ADDR", "KUBECONFIG", "LINKERD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def destination(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """A destination that knows a service `web`; for the cluster it runs in a pod."""
    kubectl = Kubectl(control_plane.kubeconfig)
    make_namespace(kubectl, NAMESPACE)
    by_hand(kubectl, NAMESPACE, "192.0.2.7", "192.0.2.8")
    folder = tmp_path_factory.mktemp("destination")
    with Controller(
        "destination", "--kubeconfig", control_plane.kubeconfig, folder=folder
    ) as running:
        running.wait_ready()
        ports = {8086: running.address, 8090: running.address}
        ports |= dict.fromkeys((4191, 9996), running.admin)
        kubectl.apply(meshed_pod(MESHED))
        with Kubelet(folder, ports=ports) as kubelet:
            run_as_pod(kubectl, "destination", namespace=NAMESPACE, ip="192.0.2.9")
            kubelet.register(kubectl)
            yield running
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def running_pod(kubectl: Kubectl, name: str, **containers: dict[str, int]) -> None:
    """One that the node of the tests runs: containers by name, each with its ports by name."""
    about = {"name": name, "namespace": NAMESPACE, "labels": {"app": "running"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
    spec = [
        {
            "name": one.replace("_", "-"),
            "image": "none",
            "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        }
        for one, ports in containers.items()
    ]
    kubectl.apply({**pod, "spec": {"nodeName": NODE, "containers": spec}})
    kubectl.apply_status({**pod, "status": {"phase": "Running", "podIP": "192.0.2.10"}})


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Status and outputs of a command of diagnostics about the namespace."""

    def ask(*words: str) -> Said:
        status = run(["diagnostics", *words, "-n", NAMESPACE])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ask


@pytest.fixture(params=["at its address", "in its pod"])
def where(
    request: pytest.FixtureRequest, destination: Controller, control_plane: ControlPlane
) -> list[str]:
    """Both ways to it."""
    if request.param == "at its address":
        return ["--addr", destination.address]
    return ["--kubeconfig", str(control_plane.kubeconfig), "-L", NAMESPACE]


def test_endpoints(cli: Cli, where: list[str]) -> None:
    status, out, err = cli("endpoints", "web", f"web.{NAMESPACE}.svc.cluster.local:80", *where)
    assert (status, err) == (0, "")
    assert out.splitlines()[:3] == [
        "NAMESPACE   IP          PORT   POD   SERVICE",
        "told        192.0.2.7   8080         web.told",
        "told        192.0.2.7   8080         web.told",
    ]
    found = json.loads(cli("endpoints", "web", "-o", "json", *where)[1])
    assert found[1] == {
        "namespace": NAMESPACE,
        "ip": "192.0.2.8",
        "port": 8080,
        "pod": "",
        "service": "web.told",
        "weight": 10000,
        "labels": {"zone_locality": "unknown"},
    }


def test_profile(cli: Cli, where: list[str]) -> None:
    for address in (f"web.{NAMESPACE}.svc.cluster.local:80", "web"):
        status, out, err = cli("profile", address, *where)
        assert (status, err) == (0, "")
        assert json.loads(out)["fully_qualified_name"] == f"web.{NAMESPACE}.svc.cluster.local"
    assert json.loads(cli("profile", "192.0.2.7:8080", *where)[1])["endpoint"] == {
        "addr": {"ip": {"Ip": {"Ipv4": 0xC0000207}}, "port": 8080},
        "weight": 10000,
    }


def test_policy(cli: Cli, where: list[str]) -> None:
    status, out, err = cli("policy", "svc/web", "80", *where)
    assert (status, err) == (0, "")
    found = yaml.safe_load(out)
    assert found["metadata"]["Kind"]["Resource"]["name"] == "web"
    assert found["protocol"]["Kind"]["Detect"]["timeout"] == {"seconds": 10}
    assert json.loads(cli("policy", "svc/web", "80", "-o", "json", *where)[1]) == found
    status, out, err = cli("policy", f"po/{MESHED}", "8080", *where)
    assert (status, err) == (0, "")
    assert yaml.safe_load(out)["labels"]["name"] == "all-unauthenticated"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("endpoints nobody", "Service nobody.told not found"),
        ("profile nobody:80", 'service "nobody" not found'),
        (
            "policy po/nobody 80",
            "the control plane knows no pod 'nobody' with a proxy in the namespace 'told'",
        ),
        ("policy svc/web 80 --token x", "Invalid workload: x"),
    ],
)
def test_a_refusal_of_the_control_plane_is_one_line(
    cli: Cli, where: list[str], words: str, line: str
) -> None:
    assert cli(*words.split(), *where) == (1, "", f"linkerd2-py: {line}\n")


def test_verbose_says_who_is_asked(
    cli: Cli, destination: Controller, control_plane: ControlPlane
) -> None:
    config = ["--kubeconfig", str(control_plane.kubeconfig), "-L", NAMESPACE, "--verbose"]
    assert cli("endpoints", "web", *config)[2].splitlines()[0] == (
        f"asks port 8086 of {NAMESPACE}/{POD} through {control_plane.server}"
    )
    at = ["--addr", destination.address, "--verbose"]
    assert cli("endpoints", "web", *at)[2].splitlines()[0] == f"asks {destination.address}"


@pytest.mark.usefixtures("destination")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("-L default", "no pod labelled linkerd.io/control-plane-component=destination runs in"),
        ("--destination-pod nobody", "does not lead to the destination: /api/v1/namespaces/told/"),
        ("--destination-pod elsewhere", "told/elsewhere: error forwarding port 8086: dial tcp4"),
        ("--as eve", 'pods is forbidden: User "eve" cannot list resource "pods"'),
        (f"--as eve --destination-pod {POD}", "portforward: 403 "),
    ],
)
def test_a_pod_that_is_not_reached_is_one_line(
    cli: Cli, control_plane: ControlPlane, words: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "elsewhere" in words:
        monkeypatch.setattr(diagnostics, "DESTINATION_PORT", 1)
        words, line = words.replace("elsewhere", POD), line.replace("elsewhere", POD)
        line = line.replace("8086", "1")
    config = ["--kubeconfig", str(control_plane.kubeconfig), *words.split()]
    if "-L" not in words:
        config += ["-L", NAMESPACE]
    status, out, err = cli("endpoints", "web", *config)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert line in err


def test_metrics_of_proxies(
    cli: Cli, destination: Controller, control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    """A port of each pod is forwarded, as to `kubectl port-forward`."""
    assert destination.admin
    running_pod(kubectl, "running-0", app={}, linkerd_proxy={"linkerd-admin": 4191})
    running_pod(kubectl, "running-1", app={}, linkerd_proxy={"linkerd-admin": 4192})
    running_pod(kubectl, "running-2", app={})
    labels = {"matchLabels": {"app": "running"}}
    template = {
        "metadata": {"labels": {"app": "running"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    kubectl.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "running", "namespace": NAMESPACE},
            "spec": {
                "selector": labels,
                "template": template,
                "updateStrategy": {"type": "OnDelete"},
            },
        }
    )
    config = ["--kubeconfig", str(control_plane.kubeconfig)]
    status, out, err = cli("proxy-metrics", "po/running-0", *config)
    assert (status, err) == (0, "")
    assert out.startswith("#\n# POD running-0 (1 of 1)\n# CONTAINER linkerd-proxy\n#\n# HELP ")
    status, out, err = cli("proxy-metrics", "ds/running", *config)
    # One that does not answer keeps nobody from being shown.
    assert (status, err.count("\n")) == (1, 1)
    assert "port 4192 of told/running-1 does not answer: error forwarding port 4192" in err
    assert "# POD running-1 (2 of 2)\n# CONTAINER linkerd-proxy\n# ERROR port 4192 of" in out
    for words, line in (
        ("po/running-2", "no meshed pod that runs found for po/running-2"),
        ("po/nobody", "there is no po/nobody in the namespace 'told'"),
        ("deploy/nobody", "there is no deploy/nobody in the namespace 'told'"),
    ):
        assert cli("proxy-metrics", words, *config) == (1, "", f"linkerd2-py: {line}\n")


def test_metrics_of_a_control_plane(
    cli: Cli, destination: Controller, control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    assert destination.admin
    running_pod(kubectl, "linkerd-destination-1", destination={"grpc": 8086, "dest-admin": 9996})
    config = ["--kubeconfig", str(control_plane.kubeconfig)]
    status, out, err = cli("controller-metrics", *config, "-L", NAMESPACE)
    sections = [line for line in out.splitlines() if line.startswith("# CONTAINER")]
    assert "# CONTAINER destination" in sections
    assert "# HELP task_failures_total Failures of" in out
    status, out, err = cli("controller-metrics", *config, "-L", "default")
    assert (status, out) == (1, "")
    assert "no process of a control plane is in the namespace 'default': see -L" in err
