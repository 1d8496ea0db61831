"""The mesh that a real API server's objects make, as they come, change and go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.objects import (
    Endpoint,
    Endpoints,
    EndpointsKey,
    Key,
    Owner,
    Pod,
    WorkloadKey,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes.api_server import ConfigError, connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually_async

LIMIT_S = 30.0
PROXY = {"name": "linkerd-proxy", "image": "none"}

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def source(control_plane: ControlPlane) -> AsyncIterator[tuple[KubernetesSource, MeshStore]]:
    """A source that is synced with the real API server."""
    api = await connect(control_plane.kubeconfig)
    store = MeshStore()
    running = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    try:
        await eventually_async(lambda: not running.unsynced, deadline_s=LIMIT_S)
        yield running, store
    finally:
        await running.stop()
        await api.close()


def apply(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl(
        "apply",
        "--filename=-",
        stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects}),
    )


def deployment(namespace: str, *, replicas: int) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "web", "linkerd.io/control-plane-ns": "linkerd"}},
        "spec": {"containers": [{"name": "app", "image": "none"}, PROXY]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template,
        },
    }


def service(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def node(name: str, *, zone: str) -> dict[str, Any]:
    about = {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": about}


def schedule(kubectl: Kubectl, pod: Pod, *, on: str) -> None:
    """Be the scheduler. Pods on no node are in no slice."""
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": on},
    }
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/binding"
    kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(binding))


def run(kubectl: Kubectl, pod: Pod, *, ip: str, ready: bool = True) -> None:
    """Be the kubelet that runs a pod."""
    status = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    patch = json.dumps({"status": status})
    kubectl(
        f"--namespace={pod.namespace}",
        *("patch", "pod", pod.name, "--subresource=status", "--type=merge", f"--patch={patch}"),
    )


async def test_a_deployment_its_pods_and_its_service(
    source: tuple[KubernetesSource, MeshStore], kubectl: Kubectl
) -> None:
    running, store = source
    mesh = store.mesh
    kubectl("create", "namespace", "store")
    apply(kubectl, node("one", zone="zone-a"), deployment("store", replicas=2), service("store"))
    workload = WorkloadKey("deployment", "store", "web")
    await eventually_async(lambda: len(mesh.pods_of(workload)) == 2, deadline_s=LIMIT_S)
    pods = mesh.pods_of(workload)
    assert mesh.workloads[workload].replicas == 2
    assert mesh.workloads[workload].meshed
    assert {pod.owner for pod in pods} == {Owner("deployment", "web")}
    assert {pod.identity for pod in pods} == {
        "default.store.serviceaccount.identity.linkerd.cluster.local"
    }

    for number, pod in enumerate(pods, 1):
        schedule(kubectl, pod, on="one")
        run(kubectl, pod, ip=f"10.244.0.{number}")
    key = EndpointsKey("store", "web", 80)

    def served() -> set[tuple[str, int, Key | None]]:
        found = mesh.endpoints.get(key, Endpoints("store", "web", 80))
        return {(end.ip, end.port, end.pod) for end in found.endpoints if end.ready}

    both = {(f"10.244.0.{number}", 8080, pod.key) for number, pod in enumerate(pods, 1)}
    await eventually_async(lambda: served() == both, deadline_s=LIMIT_S)
    (first,) = mesh.pods_at("10.244.0.1")
    assert (first.key, first.zone) == (pods[0].key, "zone-a")
    assert mesh.service_at(mesh.services[Key("store", "web")].ips[0]) is not None

    run(kubectl, pods[0], ip="10.244.0.1", ready=False)
    await eventually_async(
        lambda: served() == {("10.244.0.2", 8080, pods[1].key)}, deadline_s=LIMIT_S
    )

    kubectl("--namespace=store", "delete", "service", "web")
    await eventually_async(lambda: Key("store", "web") not in mesh.services, deadline_s=LIMIT_S)
    assert not mesh.endpoints_of(Key("store", "web"))
    assert not running.problems
    kubectl("delete", "node", "one")
    kubectl("delete", "namespace", "store", "--wait=false")


async def test_a_service_without_a_selector_is_served_by_what_its_slice_says(
    source: tuple[KubernetesSource, MeshStore], kubectl: Kubectl
) -> None:
    _, store = source
    kubectl("create", "namespace", "outside")
    bare = service("outside")
    del bare["spec"]["selector"]
    slice_ = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-by-hand",
            "namespace": "outside",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": ["192.0.2.1"]}],
    }
    apply(kubectl, bare, slice_)
    key = EndpointsKey("outside", "web", 80)

    def found() -> tuple[Endpoint, ...]:
        return store.mesh.endpoints.get(key, Endpoints("outside", "web", 80)).endpoints

    await eventually_async(lambda: found() == (Endpoint("192.0.2.1", 8080),), deadline_s=LIMIT_S)
    kubectl("delete", "namespace", "outside", "--wait=false")


async def test_a_kind_that_may_not_be_listed_is_named_and_the_others_go_on(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    ours = ["linkerd.io", "policy.linkerd.io", "policy.linkerd2-py.io", "workload.linkerd.io"]
    groups = ["", "apps", "batch", "gateway.networking.k8s.io", *ours]
    rules = [{"apiGroups": groups, "resources": ["*"], "verbs": ["list", "watch"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "no-slices"},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "no-slices"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "no-slices",
        },
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "watcher"}],
    }
    apply(kubectl, role, binding)
    api = await connect(control_plane.kubeconfig_of("watcher"))
    store = MeshStore()
    running = KubernetesSource(api, store=store, clock=SystemClock(), identities=Identities())
    try:
        await eventually_async(
            lambda: running.unsynced == ["endpointslices.discovery.k8s.io"], deadline_s=LIMIT_S
        )
        (problem,) = running.problems
        assert problem.startswith(
            "endpointslices.discovery.k8s.io: endpointslices.discovery.k8s.io is forbidden"
        )
        assert store.mesh.is_synced(Pod)
        assert not store.mesh.is_synced(Endpoints)
        # The right comes, and with it the kind.
        rules.append(
            {"apiGroups": ["discovery.k8s.io"], "resources": ["*"], "verbs": ["list", "watch"]}
        )
        apply(kubectl, role)
        await eventually_async(
            lambda: not running.unsynced and not running.problems, deadline_s=LIMIT_S
        )
        assert store.mesh.is_synced(Endpoints)
    finally:
        await running.stop()
        await api.close()


async def test_who_does_not_say_where_the_api_server_is(tmp_path: Any) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=f"^{missing}: there is no such file$"):
        await connect(missing)
    with pytest.raises(ConfigError, match=f"^{tmp_path}: Is a directory$"):
        await connect(tmp_path)
    with pytest.raises(ConfigError, match=r"^no kubeconfig is given, and this is no pod: "):
        await connect()
