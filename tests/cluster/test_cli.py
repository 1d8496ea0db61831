"""The command line in front of a real API server, with real processes of a control plane behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from linkerd2_py import __version__
from linkerd2_py.cli.main import run
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.outside import make_namespace, own_address, run_as_pod, service_of
from tests.support.ports import free_port
from tests.support.wait import eventually

from .conftest import Kubectl

pytestmark = pytest.mark.timeout(300)
NAMESPACE = "linkerd-cli"
SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/linkerd-public-api:8085/proxy"
ENTRY = [sys.executable, "-m", "linkerd2_py.cli.main"]
Said = tuple[int, str, str]
Cli = Callable[..., Said]


@pytest.fixture(autouse=True)
def _no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("LINKERD_NAMESPACE", NAMESPACE)
    for name in ("LINKERD2_PY_API_ADDR", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def public_api(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """The public API of a cluster, reached as the cluster reaches programs of pods."""
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
        version = ("get", f"--raw={SERVICE}/api/v1/version")
        eventually(
            lambda: kubectl.try_(*version).returncode == 0,
            deadline_s=60,
            what="the API server knows who serves it",
        )
        yield running
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def cli(control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Status and outputs of a command that asks the cluster."""

    def ask(*words: str) -> Said:
        status = run([f"--kubeconfig={control_plane.kubeconfig}", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ask


@pytest.mark.parametrize(
    "words",
    [
        "get svc -A",
        "get svc -n linkerd-cli -o json",
        "get pods -n linkerd-cli",
        "stat deploy -A",
        "edges deploy -A",
        "identity -n linkerd-cli",
        "version",
    ],
)
def test_a_cluster_answers_as_its_public_api_does(
    public_api: Controller, cli: Cli, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    status = run([*words.split(), "--api-addr", public_api.address])
    straight = capsys.readouterr()
    through = cli(*words.split())
    assert through == (status, straight.out, straight.err)
    assert through[1] or through[2]


def test_what_it_answers(public_api: Controller, cli: Cli) -> None:
    port = public_api.address.rpartition(":")[2]
    status, out, err = cli("get", "svc", "-n", NAMESPACE, "-o", "json")
    assert (status, err) == (0, "")
    assert [one["name"] for one in json.loads(out)] == ["linkerd-public-api"]
    assert json.loads(out)[0]["ports"][0]["target_port"] == int(port)
    assert cli("version")[1].endswith(f"Server version: {__version__}\n")


def test_verbose_says_who_is_asked(
    public_api: Controller,
    control_plane: ControlPlane,
    cli: Cli,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, _, err = cli("get", "svc", "--verbose")
    assert (
        err.splitlines()[0]
        == f"asks {control_plane.server}{SERVICE}, known by {control_plane.kubeconfig}"
    )
    run(["get", "svc", "--verbose", "--api-addr", public_api.address])
    err = capsys.readouterr().err
    assert err.splitlines()[0] == f"asks http://{public_api.address}, known by --api-addr"


@pytest.mark.usefixtures("public_api")
def test_what_lets_anybody_call_a_pod(kubectl: Kubectl, cli: Cli) -> None:
    about = {"namespace": NAMESPACE}
    policy = {"apiVersion": "policy.linkerd.io/v1alpha1"}
    containers = [{"name": one, "image": "none"} for one in ("app", "linkerd-proxy")]
    labels = {"app": "web", "linkerd.io/control-plane-ns": "linkerd"}
    target = {"group": "policy.linkerd.io", "kind": "Server", "name": "web"}
    passed = {"group": "policy.linkerd.io", "kind": "MeshTLSAuthentication", "name": "all"}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**about, "name": "web-0", "labels": labels},
            "spec": {"containers": containers},
        },
        {
            "apiVersion": "policy.linkerd.io/v1beta3",
            "kind": "Server",
            "metadata": {**about, "name": "web"},
            "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "port": 8080},
        },
        {
            **policy,
            "kind": "MeshTLSAuthentication",
            "metadata": {**about, "name": "all"},
            "spec": {"identities": ["*"]},
        },
        {
            **policy,
            "kind": "AuthorizationPolicy",
            "metadata": {**about, "name": "callers"},
            "spec": {"targetRef": target, "requiredAuthenticationRefs": [passed]},
        },
    )

    def shown() -> list[list[str]]:
        status, out, _ = cli("authz", "po/web-0", "-n", NAMESPACE)
        return [line.split() for line in out.splitlines()] if status == 0 else []

    eventually(lambda: shown()[1:] == [["*", "web", "callers"]], deadline_s=30)


@pytest.mark.usefixtures("public_api")
def test_one_asks_as_somebody_else(cli: Cli) -> None:
    status, out, err = cli("get", "svc", "--as", "eve", "--as-group", "people")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert 'User "eve" cannot get resource "services/proxy"' in err
    # Of several groups each counts.
    groups = ("--as-group", "people", "--as-group", "system:masters")
    assert cli("--as", "eve", *groups, "get", "svc", "-A")[0] == 0


@pytest.mark.usefixtures("public_api")
def test_a_namespace_without_a_control_plane_is_one_line(cli: Cli) -> None:
    status, out, err = cli("get", "svc", "-L", "default")
    assert (status, out) == (1, "")
    assert err.endswith(
        'services "linkerd-public-api" not found; -L says in which namespace it is\n'
    )


def test_an_api_server_that_does_not_know_us_is_one_line(
    control_plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert run(["get", "pods", "--kubeconfig", str(tmp_path / "config")]) == 1
    assert capsys.readouterr().err == (
        "linkerd2-py: no answer of the control plane through "
        f"{control_plane.server}: Unauthorized\n"
    )


def test_an_api_server_that_is_away_is_one_line(
    control_plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = f"https://127.0.0.1:{free_port()}"
    text = control_plane.kubeconfig.read_text().replace(control_plane.server, away)
    (tmp_path / "config").write_text(text)
    assert run(["get", "pods", "--kubeconfig", str(tmp_path / "config")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"linkerd2-py: cannot reach the API server: {away}")


def test_a_control_plane_that_has_ended_is_one_line(
    control_plane: ControlPlane, kubectl: Kubectl, cli: Cli
) -> None:
    make_namespace(kubectl, "ended")
    run_as_pod(kubectl, "public-api", namespace="ended", ip=own_address())
    kubectl.apply(service_of("public-api", namespace="ended", port=8085, at=free_port()))

    def refused() -> bool:
        status, out, err = cli("get", "pods", "-L", "ended")
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(
            f"linkerd2-py: no answer of the control plane through {control_plane.server}: "
        )
        return "connection refused" in err

    eventually(refused, deadline_s=60)
    kubectl("delete", "namespace", "ended", "--wait=false")


@pytest.mark.usefixtures("public_api")
def test_contexts_and_namespaces_are_completed(control_plane: ControlPlane) -> None:
    def completed(line: str) -> list[str]:
        env = os.environ | {
            "KUBECONFIG": str(control_plane.kubeconfig),
            "LINKERD_NAMESPACE": NAMESPACE,
            "_LINKERD2_PY_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        done = subprocess.run(ENTRY, capture_output=True, text=True, env=env, check=False)
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("linkerd2-py get --context te") == ["test"]
    assert completed("linkerd2-py get po -n linkerd-c") == [NAMESPACE]
    # The API server knows them, whether a public API is there or not.
    assert completed("linkerd2-py -L nowhere get po -n linkerd-c") == [NAMESPACE]
    assert completed(f"linkerd2-py get po -L nowhere -n {NAMESPACE} linkerd-p") == [
        "linkerd-public-api-0"
    ]
    assert completed("linkerd2-py stat ns kube-sy") == ["kube-system"]
    endpoints = f"linkerd2-py diagnostics endpoints -n {NAMESPACE} linkerd-p"
    assert completed(endpoints) == ["linkerd-public-api:8085"]


@pytest.mark.usefixtures("public_api")
def test_what_was_installed_is_known(cli: Cli, kubectl: Kubectl) -> None:
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "linkerd-config", "namespace": NAMESPACE},
            "data": {"values": "linkerdVersion: edge-1\nclusterDomain: example.org"},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "meshed-0",
                "namespace": NAMESPACE,
                "labels": {"linkerd.io/control-plane-ns": NAMESPACE},
            },
            "spec": {"containers": [{"name": "linkerd-proxy", "image": "x/proxy:edge-2"}]},
        },
    )
    expected = f"Client version: {__version__}\nServer version: edge-1\nProxy versions:\n"
    assert cli("version", "--proxy") == (0, f"{expected}  edge-2 (1 pod)\n", "")
    assert (
        cli("version", "--proxy", "--short", "-n", NAMESPACE)[1]
        == f"{__version__}\nedge-1\nedge-2\n"
    )
    profile = yaml.safe_load(cli("profile", "web", "--template", "-n", "shop")[1])
    assert profile["metadata"] == {"name": "web.shop.svc.example.org", "namespace": "shop"}
    offline = cli("profile", "web", "--template", "-n", "shop", "--ignore-cluster")[1]
    assert yaml.safe_load(offline)["metadata"]["name"] == "web.shop.svc.cluster.local"
    kubectl("delete", "configmap", "linkerd-config", f"--namespace={NAMESPACE}")
