"""Programs of this machine as pods of a cluster that has no node to run any."""

from __future__ import annotations

import socket
from typing import Any

from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually

NODE = "machine"
COMPONENT = "linkerd.io/control-plane-component"
Object = dict[str, Any]


def own_address() -> str:
    """One of this machine that is not loopback, to which an API server passes nothing on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the kernel says from where it would be.
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


def make_namespace(kubectl: Kubectl, name: str) -> None:
    """One in which pods can be."""
    kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", f"--namespace={name}")
    eventually(lambda: kubectl.try_(*account).returncode == 0, deadline_s=60, what="its account is")


def run_as_pod(kubectl: Kubectl, component: str, *, namespace: str, ip: str) -> None:
    """A pod of a component of the control plane, as if it ran and was ready."""
    about = {"name": f"linkerd-{component}-0", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}},
        {
            **pod,
            "metadata": {**about, "labels": {COMPONENT: component}},
            "spec": {"nodeName": NODE, "containers": [{"name": component, "image": "none"}]},
        },
    )
    status = {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    kubectl.apply_status({**pod, "status": status})


def service_of(component: str, *, namespace: str, port: int, at: int) -> Object:
    """The service that has the pods of a component, whose programs listen at port `at`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"linkerd-{component}", "namespace": namespace},
        "spec": {
            "selector": {COMPONENT: component},
            "ports": [{"name": "http", "port": port, "targetPort": at}],
        },
    }
