"""A control plane of three replicas each: who writes is one of them, and another when that one is killed.

There is one node here, so they may share it, and ask for little of its processors.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster.node import workloads
from tests.support.cluster.node.mesh import NAMESPACE, Mesh, names_of
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(600)

COMPONENTS = ("identity", "destination", "proxy-injector")
RESOURCES = ("identity", "destination", "proxyApi", "proxyInjector", "publicAPI")
LEASES = ("policy-controller-write", "linkerd-destination-endpoint-write")
# A lease that nobody gives back is another's after thirty seconds.
TAKEN_S = 60.0


@pytest.fixture(scope="module")
def available(node: Node, images: None) -> Iterator[Mesh]:
    little = [f"{name}Resources.cpu.request=5m" for name in RESOURCES]
    said = ["enablePodAntiAffinity=false", "proxy.resources.cpu.request=5m", *little]
    mesh = Mesh(node)
    if mesh.installed():
        mesh.uninstall()
    mesh.install("--ha", *(f"--set={one}" for one in said))
    yield mesh
    # Whoever comes next has one of each again.
    mesh.uninstall()


def pods(mesh: Mesh, component: str) -> list[str]:
    selector = f"--selector=linkerd.io/control-plane-component={component}"
    found = mesh.node.items("pods", f"--namespace={NAMESPACE}", selector)
    return names_of([one for one in found if "deletionTimestamp" not in one["metadata"]])


def holder(mesh: Mesh, lease: str) -> str:
    """The pod that holds it; "" for none."""
    found = mesh.node.get(f"lease/{lease}", f"--namespace={NAMESPACE}")
    said = str(found["spec"].get("holderIdentity") or "")
    return next((pod for pod in pods(mesh, "destination") if said.startswith(pod)), "")


def test_three_of_each_run_and_one_may_be_away(available: Mesh) -> None:
    for component in COMPONENTS:
        assert len(pods(available, component)) == 3, component

    def allowed() -> list[int]:
        budgets = available.node.items("poddisruptionbudgets", f"--namespace={NAMESPACE}")
        return [one["status"]["disruptionsAllowed"] for one in budgets]

    # Parts of which there is one pod whatever is asked for have theirs, too.
    eventually(
        lambda: len(allowed()) > len(COMPONENTS) and set(allowed()) == {1},
        deadline_s=TAKEN_S,
        what="one may be away",
    )


def test_no_pod_is_made_while_its_injector_does_not_answer(available: Mesh) -> None:
    name = "linkerd-proxy-injector-webhook-config"
    hooks = available.node.get(f"mutatingwebhookconfigurations/{name}")
    assert [one["failurePolicy"] for one in hooks["webhooks"]] == ["Fail"]
    # While one of them is away the others answer.
    with available.namespace("guarded") as place:
        gone = pods(available, "proxy-injector")[0]
        available.node.kubectl(
            "delete", f"pod/{gone}", f"--namespace={NAMESPACE}", "--now", "--wait=false"
        )
        spec = workloads.pod_spec(workloads.server("http_server.py"))
        place.apply(workloads.deployment("web", spec))
        place.wait_rolled("deployment/web")
        assert all("linkerd-proxy" in workloads.container_names(one) for one in place.pods("web"))


@pytest.mark.parametrize("lease", LEASES)
def test_another_writes_when_who_did_is_killed(available: Mesh, lease: str) -> None:
    eventually(lambda: holder(available, lease), deadline_s=TAKEN_S, what=f"{lease} is held")
    first = holder(available, lease)
    available.node.kubectl(
        *("delete", f"pod/{first}", f"--namespace={NAMESPACE}", "--force", "--grace-period=0")
    )
    eventually(
        lambda: holder(available, lease) not in {"", first},
        deadline_s=TAKEN_S,
        what=f"another holds {lease}",
    )
    available.wait_ready()
