"""`check` of a cluster, against a real API server: what is missing is said, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py.cli.checks import cluster
from linkerd2_py.cli.checks.cluster import own_kinds
from linkerd2_py.cli.main import run
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.outside import make_namespace, own_address, run_as_pod, service_of
from tests.support.ports import free_port
from tests.support.wait import eventually

from .conftest import Kubectl

pytestmark = pytest.mark.timeout(300)
NAMESPACE = "checked"
KINDS = "control plane CustomResourceDefinitions exist"
Said = tuple[int, str, str]
Cli = Callable[..., Said]
REACHED = """\
kubernetes-api
--------------
√ can initialize the client
√ can query the Kubernetes API

kubernetes-version
------------------
√ is running the minimum Kubernetes API version

gateway-api-crd
---------------
√ Gateway API CRDs are installed

linkerd-config
--------------
"""


@pytest.fixture
def cli(
    control_plane: ControlPlane,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Cli:
    """Status and outputs of a check of the cluster."""
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    for name in ("LINKERD2_PY_API_ADDR", "LINKERD_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)

    def check(*words: str) -> Said:
        status = run(["check", "--wait=0s", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return check


@pytest.fixture
def kinds(kubectl: Kubectl) -> Kubectl:
    """Those of a mesh are known."""
    install_crds(kubectl)
    return kubectl


@pytest.fixture(scope="module")
def public_api(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    kubectl = Kubectl(control_plane.kubeconfig)
    install_crds(kubectl)
    make_namespace(kubectl, NAMESPACE)
    ip, port = own_address(), free_port()
    words = ("--kubeconfig", control_plane.kubeconfig, "--addr", f"{ip}:{port}")
    folder = tmp_path_factory.mktemp("public-api")
    with Controller("public-api", *words, folder=folder) as running:
        running.wait_ready()
        run_as_pod(kubectl, "public-api", namespace=NAMESPACE, ip=ip)
        kubectl.apply(service_of("public-api", namespace=NAMESPACE, port=8085, at=port))
        path = f"/api/v1/namespaces/{NAMESPACE}/services/linkerd-public-api:8085/proxy"
        version = ("get", f"--raw={path}/api/v1/version")
        eventually(lambda: kubectl.try_(*version).returncode == 0, deadline_s=60)
        yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def results(out: str) -> dict[str, dict[str, Any]]:
    return {
        one["description"]: one
        for category in json.loads(out)["categories"]
        for one in category["checks"]
    }


@pytest.mark.usefixtures("kinds")
def test_what_a_mesh_is_described_by(cli: Cli) -> None:
    expected = f"{REACHED}√ {KINDS}\n\nStatus check results are √\n"
    assert cli("--crds") == (0, expected, "")
    assert cli("--crds", "-o", "short") == (0, "Status check results are √\n", "")


def test_a_kind_that_is_missing_is_named_with_its_versions(cli: Cli, kinds: Kubectl) -> None:
    kinds("delete", "crd", "meshtlsauthentications.policy.linkerd.io")
    missing = "meshtlsauthentications.policy.linkerd.io/v1alpha1"
    eventually(lambda: missing in cli("--crds")[1])
    status, out, _ = cli("--crds", "-o", "json")
    assert status == 1
    assert results(out)[KINDS] == {
        "description": KINDS,
        "result": "error",
        "error": f"not served: {missing}",
        "hint": "install the chart linkerd2-py-crds, of the version of this command",
    }


def test_gateway_api_may_be_missing(cli: Cli, kinds: Kubectl) -> None:
    kinds("delete", "crd", "grpcroutes.gateway.networking.k8s.io")
    lines = (
        "‼ Gateway API CRDs are installed\n    not served: grpcroutes.gateway.networking.k8s.io/v1"
    )
    eventually(lambda: lines in cli("--crds")[1])
    assert cli("--crds")[0] == 0


@pytest.mark.usefixtures("kinds")
def test_a_version_that_is_too_old(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MINIMUM", (9, 1))
    status, out, _ = cli("--crds")
    assert status == 1
    assert (
        "× is running the minimum Kubernetes API version\n    Kubernetes is on version v1." in out
    )
    assert ", but 9.1 or more recent is needed\n" in out


@pytest.mark.usefixtures("public_api")
def test_a_control_plane_that_answers(cli: Cli) -> None:
    _, out, err = cli("-L", NAMESPACE)
    assert err == ""
    assert out.startswith(
        f"{REACHED}√ control plane Namespace exists\n√ {KINDS}\n\n"
        "linkerd-api\n-----------\n√ can query the control plane API\n"
    )
    assert "‼ pods are running\n    no pod is meshed\n" in out
    assert "√ control plane and cli versions match\n" in out


@pytest.mark.usefixtures("kinds")
def test_a_namespace_that_does_not_exist(cli: Cli) -> None:
    status, out, _ = cli("-L", "nowhere")
    assert status == 1
    assert '× control plane Namespace exists\n    The "nowhere" namespace does not ' in out
    assert "× can query the control plane API\n    no answer of the control plane through " in out
    # Nobody is left to ask further.
    assert "linkerd-version" not in out


def test_an_api_server_that_is_away(cli: Cli, control_plane: ControlPlane, tmp_path: Path) -> None:
    text = control_plane.kubeconfig.read_text()
    away = tmp_path / "away"
    away.write_text(text.replace(control_plane.server, f"https://127.0.0.1:{free_port()}"))
    status, out, _ = cli("--kubeconfig", str(away))
    assert status == 1
    assert "× can query the Kubernetes API\n    cannot reach the API server: " in out
    assert out.endswith("\n\nStatus check results are ×\n")
    assert "kubernetes-version" not in out


def test_one_who_may_not_ask(cli: Cli) -> None:
    status, out, _ = cli("--as", "eve", "-L", "default")
    assert status == 1
    assert 'namespaces "default" is forbidden: User "eve"' in out


def test_a_kubeconfig_that_is_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("[]")
    status, out, err = cli("--kubeconfig", str(tmp_path / "none"))
    assert (status, err) == (1, "")
    assert out.startswith("kubernetes-api\n--------------\n× can initialize the client\n    /")
    assert "none: it is not a kubeconfig\n    hint: see `kubectl config view`" in out


def test_the_kinds_are_those_of_the_chart() -> None:
    found = own_kinds()
    assert found["policy.linkerd.io/v1beta3"] >= {"servers"}
    assert found["linkerd.io/v1alpha2"] == {"serviceprofiles"}
    assert "externalworkloads" in found["workload.linkerd.io/v1beta1"]
