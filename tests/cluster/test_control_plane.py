"""The cluster that the other tests of this folder ask: a real API server, whose controllers work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster import keeper, programs
from tests.support.cluster.control_plane import ControlPlane, StartError
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


def test_it_is_the_version_that_is_pinned(kubectl: Kubectl) -> None:
    server = json.loads(kubectl("version", "--output=json"))["serverVersion"]
    assert server["gitVersion"] == f"v{programs.version()}"


def test_controllers_make_the_pods_of_a_deployment_and_a_slice_for_its_service(
    kubectl: Kubectl,
) -> None:
    kubectl("create", "namespace", "made")
    kubectl("--namespace=made", "create", "deployment", "web", "--image=none", "--replicas=2")
    kubectl("--namespace=made", "expose", "deployment", "web", "--port=80")

    def counts() -> tuple[int, int]:
        pods = kubectl("--namespace=made", "get", "pods", "--output=name").split()
        slices = kubectl("--namespace=made", "get", "endpointslices", "--output=name").split()
        return len(pods), len(slices)

    eventually(lambda: counts() == (2, 1))
    kubectl("delete", "namespace", "made", "--wait=false")


def test_tokens_name_their_service_account_for_the_audience_they_are_for(kubectl: Kubectl) -> None:
    eventually(lambda: "default" in kubectl("get", "serviceaccounts", "--output=name"))
    token = kubectl("create", "token", "default", "--audience=identity.l5d.io").strip()
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["identity.l5d.io"]},
    }
    answer = json.loads(
        kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review))
    )["status"]
    assert answer["authenticated"]
    assert answer["user"]["username"] == "system:serviceaccount:default:default"


def test_who_cannot_start_says_what_its_program_said(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left running, and the words are those of the program that failed."""
    del control_plane  # its programs are built
    broken = tmp_path / "bin"
    broken.mkdir()
    for name in programs.NAMES:
        (broken / name).symlink_to("/bin/false" if name == "kube-apiserver" else "/bin/true")
    monkeypatch.setattr(programs, "build", lambda: broken)
    with pytest.raises(StartError, match="kube-apiserver ended with 1"):
        ControlPlane(tmp_path / "root")


def test_up_lasts_until_down_and_the_second_up_finds_the_first(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del control_plane  # its programs are built
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    # The programs stay where they are.
    root = tmp_path / "linkerd2-py" / "cluster"

    def mesh_cluster(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.support.cluster", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        assert mesh_cluster("status").returncode == 1
        assert mesh_cluster("up", "--no-node").returncode == 0
        holder = keeper.holder(root)
        assert holder is not None
        assert mesh_cluster("up").stdout.count(f"process {holder}") == 1
        assert mesh_cluster("load", "image.tar").stderr.startswith("no node runs")
        assert "default" in Kubectl(keeper.kubeconfig(root))("get", "namespaces")
    finally:
        down = mesh_cluster("down")
    assert down.stdout == "ended\n"
    assert keeper.holder(root) is None
    assert not root.exists()
