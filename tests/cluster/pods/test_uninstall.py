"""`uninstall` leaves nothing of what `install` made, whatever kind it is."""

from __future__ import annotations

import json

import pytest

from tests.support.cluster.node.mesh import NAMESPACE, Mesh
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(600)

# What a cluster writes itself, and forgets in its own time.
PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}


def ours(node: Node) -> set[str]:
    """Every object of every kind that has our name or labels, or is in our namespace."""
    kinds = set(node.kubectl("api-resources", "--verbs=list", "--output=name").split()) - PASSING
    found: set[str] = set()
    for kind in sorted(kinds):
        listed = node.kubectl.try_(
            "get", kind, "--all-namespaces", "--output=json", "--ignore-not-found"
        )
        if listed.returncode != 0 or not listed.stdout.strip():
            continue
        for one in json.loads(listed.stdout)["items"]:
            about = one["metadata"]
            words = [about["name"], about.get("namespace", ""), *about.get("labels", {})]
            if any("linkerd" in word for word in words):
                found.add(f"{kind}/{about.get('namespace', '')}/{about['name']}")
    return found


def test_nothing_is_left(node: Node, images: None) -> None:
    mesh = Mesh(node)
    if not mesh.installed():
        mesh.install()
    assert ours(node)
    mesh.uninstall()
    eventually(lambda: not ours(node), deadline_s=60, what="nothing of ours is left")
    assert NAMESPACE not in node.kubectl("get", "namespaces")
