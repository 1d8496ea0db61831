"""What the webhooks of an installed control plane do to what is applied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster.kubectl import listed
from tests.support.cluster.node import workloads
from tests.support.cluster.node.mesh import Mesh, Place

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def place(installed: Mesh) -> Iterator[Place]:
    with installed.namespace("doors") as found:
        yield found


def test_what_cannot_mean_anything_is_refused_by_the_name_of_its_field(place: Place) -> None:
    broken = {
        "apiVersion": "policy.linkerd.io/v1alpha1",
        "kind": "NetworkAuthentication",
        "metadata": {"name": "broken", "namespace": place.name},
        "spec": {"networks": [{"cidr": "10.0.0.0/99"}]},
    }
    done = place.node.kubectl.try_("apply", "--filename=-", stdin=listed([broken]))
    assert done.returncode != 0
    assert "spec.networks[0].cidr" in done.stderr


def test_a_pod_says_whether_it_is_meshed(place: Place) -> None:
    """Its annotation is stronger than its namespace's."""
    spec = workloads.pod_spec(workloads.server("http_server.py"))
    place.apply(
        workloads.pod("with", spec),
        workloads.pod("without", spec, annotations={"linkerd.io/inject": "disabled"}),
    )
    place.kubectl("wait", "--for=condition=Ready", "pod/with", "pod/without", "--timeout=120s")
    found = {one["metadata"]["name"]: workloads.container_names(one) for one in place.items("pods")}
    assert "linkerd-proxy" in found["with"]
    assert "linkerd-proxy" not in found["without"]
