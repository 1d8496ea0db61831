"""While pods come and go, and the control plane with them, no request that runs is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster.node import workloads
from tests.support.cluster.node.mesh import NAMESPACE, Mesh, Place, names_of
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(900)

RATE = 300
URL = f"http://web:{workloads.PORT}/"
COMPONENTS = ("destination", "identity", "proxy-injector")


@pytest.fixture(scope="module")
def place(installed: Mesh) -> Iterator[Place]:
    """Five replicas."""
    with installed.namespace("busy") as found:
        spec = workloads.pod_spec(workloads.server("http_server.py", lingers=True))
        found.apply(workloads.deployment("web", spec, replicas=5), workloads.service("web"))
        found.wait_rolled("deployment/web")
        yield found


def test_three_rolling_restarts(place: Place) -> None:
    with place.load(URL, rate=RATE) as load:
        for _ in range(3):
            before = set(names_of(place.pods("web")))
            place.kubectl("rollout", "restart", "deployment/web")
            place.wait_rolled("deployment/web")
            assert not before & set(names_of(place.pods("web")))
            load.wait_answered(RATE)
    load.assert_none_failed(at_least=4 * RATE)
    place.kubectl("delete", "pod/load", "--now")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_part_of_the_control_plane_is_killed(
    place: Place, installed: Mesh, component: str
) -> None:
    """With all its pods, at once: what runs goes on, and what starts meanwhile waits and then runs."""
    node = place.node
    # As it is with three replicas; without, who starts meanwhile has no proxy.
    installed.apply(installed.cli("upgrade", "--set", "webhookFailurePolicy=Fail"))
    selector = f"--selector=linkerd.io/control-plane-component={component}"
    with place.load(URL, rate=RATE // 3, name=f"load-{component}") as load:
        node.kubectl(
            "delete", "pods", selector, f"--namespace={NAMESPACE}", "--now", "--wait=false"
        )
        load.wait_answered(RATE)
        place.kubectl("scale", "deployment/web", "--replicas=6")
        place.wait_rolled("deployment/web")
        load.wait_answered(RATE)
    load.assert_none_failed(at_least=2 * RATE)
    assert all("linkerd-proxy" in workloads.container_names(one) for one in place.pods("web"))
    place.kubectl("scale", "deployment/web", "--replicas=5")
    installed.wait_ready()


def test_the_kubelet_is_killed(place: Place) -> None:
    with place.load(URL, rate=RATE // 3, name="load-kubelet") as load:
        (kubelet,) = place.node.processes("kubelet")
        kubelet.kill()
        load.wait_answered(RATE)
        eventually(
            lambda: [one.pid for one in place.node.processes("kubelet")] not in ([], [kubelet.pid]),
            deadline_s=30,
            what="another kubelet runs",
        )
        place.node.kubectl("wait", "--for=condition=Ready", "node/node", "--timeout=60s")
        place.kubectl("rollout", "restart", "deployment/web")
        place.wait_rolled("deployment/web")
    load.assert_none_failed(at_least=RATE)


def test_the_control_plane_is_upgraded(place: Place, installed: Mesh) -> None:
    """To other values, which its pods take over one after the other; afterwards back."""
    with place.load(URL, rate=RATE // 3, name="load-upgrade") as load:
        installed.apply(installed.cli("upgrade", "--set", "controllerLogLevel=debug"))
        installed.wait_ready()
        load.wait_answered(RATE)
        place.kubectl("rollout", "restart", "deployment/web")
        place.wait_rolled("deployment/web")
    load.assert_none_failed(at_least=RATE)
    (config,) = [
        one
        for one in place.node.items("configmaps", f"--namespace={NAMESPACE}")
        if one["metadata"]["name"] == "linkerd-config"
    ]
    assert "controllerLogLevel: debug" in config["data"]["values"]
    installed.apply(installed.cli("upgrade", "--set", "controllerLogLevel=info"))
    installed.wait_ready()
