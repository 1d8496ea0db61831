"""What is kept of a pod of the Kubernetes API."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    NO_PORTS,
    ContainerPort,
    Owner,
)
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities, read_pod

OURS = Identities()
MESHED: dict[str, Any] = {
    "metadata": {
        "name": "web-5d4f8c7b9-aaaaa",
        "namespace": "shop",
        "labels": {"app": "web", "linkerd.io/control-plane-ns": "linkerd"},
        "ownerReferences": [
            {"kind": "Node", "name": "a"},
            {"kind": "ReplicaSet", "name": "web-5d4f8c7b9", "controller": True},
        ],
    },
    "spec": {
        "serviceAccountName": "web",
        "nodeName": "node-a",
        "containers": [
            {"name": "app"},
            {
                "name": "linkerd-proxy",
                "env": [
                    {"name": "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "value": "0.0.0.0:5191"},
                    {"name": "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "value": "[::]:5143"},
                ],
            },
        ],
    },
    "status": {
        "phase": "Running",
        "startTime": "1970-01-01T00:02:00Z",
        "podIP": "10.10.0.1",
        "podIPs": [{"ip": "10.10.0.1"}, {"ip": "fd00::1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def changed(*path: str, value: object) -> dict[str, Any]:
    """The pod with another value below `path`."""
    found = copy.deepcopy(MESHED)
    place = found
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    return found


def test_a_meshed_pod_says_what_its_proxy_proves_and_takes() -> None:
    pod = read_pod(MESHED, identities=OURS)
    assert pod.key == ("shop", "web-5d4f8c7b9-aaaaa")
    assert pod.owner == Owner("replicaset", "web-5d4f8c7b9")
    assert pod.ips == ("10.10.0.1", "fd00::1")
    assert pod.identity == "web.shop.serviceaccount.identity.linkerd.cluster.local"
    assert (pod.inbound_port, pod.admin_addr) == (5143, "10.10.0.1:5191")
    assert (pod.ready, pod.status, pod.serving) == (True, "Running", True)
    assert (pod.node, pod.service_account, pod.started) == ("node-a", "web", 120.0)
    assert 8080 in pod.proxied


def test_a_proxy_that_is_told_whom_to_tell_can_be_watched() -> None:
    said = {"name": "LINKERD2_PROXY_TAP_SVC_NAME", "value": "linkerd-tap.linkerd.serviceaccount"}
    proxy = {"name": "linkerd-proxy", "env": [said]}
    pod = read_pod(changed("spec", "containers", value=[proxy]), identities=OURS)
    assert pod.tap_addr == "10.10.0.1:4190"
    proxy["env"] = [said, {"name": "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", "value": "[::]:5190"}]
    pod = read_pod(changed("spec", "containers", value=[proxy]), identities=OURS)
    assert pod.tap_addr == "10.10.0.1:5190"
    assert read_pod(MESHED, identities=OURS).tap_addr == ""


def test_a_proxy_that_says_no_ports_has_the_usual_ones() -> None:
    pod = read_pod(changed("spec", "containers", value=[]), identities=OURS)
    assert (pod.inbound_port, pod.admin_addr) == (4143, "10.10.0.1:4191")


def test_a_native_sidecar_stands_among_the_init_containers() -> None:
    found = changed("spec", "containers", value=[{"name": "app"}])
    found["spec"]["initContainers"] = MESHED["spec"]["containers"][1:]
    assert read_pod(found, identities=OURS).inbound_port == 5143


def test_skipped_ports_are_not_the_proxys() -> None:
    listing = {"config.linkerd.io/skip-inbound-ports": "25, 8080-8090,no,99999999"}
    pod = read_pod(changed("metadata", "annotations", value=listing), identities=OURS)
    assert [port for port in (24, 25, 8080, 8090, 8091) if port in pod.proxied] == [24, 8091]


def test_a_pod_of_another_mesh_has_a_proxy_and_no_identity() -> None:
    pod = read_pod(
        changed("metadata", "labels", value={"linkerd.io/control-plane-ns": "other"}),
        identities=OURS,
    )
    assert pod.meshed
    assert pod.identity == ""


def test_a_pod_without_a_proxy() -> None:
    pod = read_pod(changed("metadata", "labels", value={"app": "web"}), identities=OURS)
    assert (pod.meshed, pod.proxied, pod.identity) == (False, NO_PORTS, "")
    assert (pod.inbound_port, pod.admin_addr) == (0, None)


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        (("status", "phase"), "Pending", "Pending"),
        (("status", "phase"), "Succeeded", "Failed"),
        (("status", "phase"), "Failed", "Failed"),
        (("status", "phase"), "Unheard", "Pending"),
        (("metadata", "deletionTimestamp"), "2026-01-01T00:00:00Z", "Terminating"),
    ],
)
def test_only_what_runs_serves(path: tuple[str, ...], value: str, status: str) -> None:
    pod = read_pod(changed(*path, value=value), identities=OURS)
    assert pod.status == status
    assert not pod.serving


def test_why_a_pod_is_not_ready_and_why_a_program_was_started_again() -> None:
    containers = [
        {"name": "one", "state": {"waiting": {"reason": "ContainerCreating"}}},
        {
            "name": "app",
            "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {
                "terminated": {
                    "reason": "OOMKilled",
                    "exitCode": 137,
                    "finishedAt": "1970-01-01T00:01:00Z",
                }
            },
        },
    ]
    pod = read_pod(changed("status", "containerStatuses", value=containers), identities=OURS)
    assert pod.problem == "app: CrashLoopBackOff"
    assert (pod.restarts, pod.last_exit, pod.last_exit_at) == (
        3,
        "app: OOMKilled (exit status 137)",
        60.0,
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_PATHS = [
    (top, name)
    for top, names in {
        "metadata": ("labels", "annotations", "ownerReferences", "deletionTimestamp", "name"),
        "spec": ("containers", "initContainers", "serviceAccountName", "nodeName"),
        "status": ("phase", "podIP", "podIPs", "conditions", "containerStatuses", "startTime"),
    }.items()
    for name in names
]


@given(path=st.sampled_from([*_PATHS, ("metadata",), ("spec",), ("status",)]), value=_JSON)
def test_an_absurd_field_is_as_one_that_is_not_there(path: tuple[str, ...], value: object) -> None:
    read_pod(changed(*path, value=value), identities=OURS)


def test_ports_that_are_declared_and_those_of_the_node() -> None:
    found = copy.deepcopy(MESHED)
    found["spec"]["initContainers"] = [{"name": "side", "ports": [{"containerPort": 9000}]}]
    found["spec"]["containers"][0]["ports"] = [
        {"containerPort": 8080, "name": "http", "hostPort": 80},
        {"containerPort": "odd"},
    ]
    found["status"]["hostIPs"] = [{"ip": "192.0.2.1"}, {"ip": "fd00::1"}]
    pod = read_pod(found, identities=OURS)
    assert pod.ports == (ContainerPort(9000), ContainerPort(8080, "http", 80), ContainerPort(0))
    assert pod.host_addresses == (("192.0.2.1", 80), ("fd00::1", 80))
    older = changed("status", "hostIP", value="192.0.2.1")
    assert read_pod(older, identities=OURS).host_ips == ("192.0.2.1",)


def test_on_the_network_of_its_node_it_has_no_address_of_its_own() -> None:
    assert read_pod(MESHED, identities=OURS).own_ips == ("10.10.0.1", "fd00::1")
    on_host = read_pod(changed("spec", "hostNetwork", value=True), identities=OURS)
    assert (on_host.own_ips, on_host.ip) == ((), "10.10.0.1")


@pytest.mark.parametrize(
    ("said", "opaque"),
    [
        (None, DEFAULT_OPAQUE_PORTS),
        ("", frozenset()),
        ("25,http,8000-8001", frozenset({25, 8080, 8000, 8001})),
        ("nobody", frozenset()),
    ],
)
def test_opaque_ports_are_those_of_its_annotation(said: str | None, opaque: frozenset[int]) -> None:
    found = copy.deepcopy(MESHED)
    found["spec"]["containers"][0]["ports"] = [{"containerPort": 8080, "name": "http"}]
    found["metadata"]["annotations"] = {"config.linkerd.io/opaque-ports": said}
    assert read_pod(found, identities=OURS).opaque_ports == opaque


def test_admin_ports_are_those_of_its_proxy() -> None:
    assert read_pod(MESHED, identities=OURS).admin_ports == {5191, 4190}
    unmeshed = read_pod(changed("metadata", "labels", value={}), identities=OURS)
    assert unmeshed.admin_ports == frozenset()


def test_one_that_has_ended_serves_nobody_though_it_is_being_deleted() -> None:
    deleted = changed("metadata", "deletionTimestamp", value="2026-01-01T00:00:00Z")
    assert read_pod(deleted, identities=OURS).status == "Terminating"
    deleted["status"]["phase"] = "Succeeded"
    assert read_pod(deleted, identities=OURS).status == "Failed"


@pytest.mark.parametrize(("written", "weight"), [("3", 30_000), ("heavy", 10_000), (3, 10_000)])
def test_a_pod_says_what_it_weighs(written: object, weight: int) -> None:
    found = changed("metadata", "annotations", value={"balancer.linkerd.io/weight": written})
    assert read_pod(found, identities=OURS).weight == weight
