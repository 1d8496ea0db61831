"""The sample's objects, as an API server takes them."""

from __future__ import annotations

from linkerd2_py.controlplane.local.sample.manifest import manifest
from tests.support.cluster.kubectl import Kubectl


def test_an_api_server_takes_every_object_of_the_sample(kubectl: Kubectl) -> None:
    text = manifest(namespace="vote", image="controller:1", pull_policy="Never")
    kubectl("create", "namespace", "vote")
    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    lines = said.splitlines()
    assert len(lines) == 1 + 5 + 6 + 5, said
    assert all(line.endswith("(server dry run)") for line in lines)
