"""The sample's objects, as an API server takes them."""

from __future__ import annotations

from linkerd2_py.controlplane.local.sample.manifest import manifest
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl


def test_an_api_server_takes_every_object_of_the_sample(own_control_plane: ControlPlane) -> None:
    kubectl = Kubectl(own_control_plane.kubeconfig)
    install_crds(kubectl)
    text = manifest(namespace="vote", image="controller:1", pull_policy="Never")
    kubectl("create", "namespace", "vote")
    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    lines = said.splitlines()
    assert len(lines) == 1 + 5 + 6 + 5 + 3, said
    assert all(line.endswith("(server dry run)") for line in lines)
