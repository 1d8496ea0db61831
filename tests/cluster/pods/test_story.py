"""Five commands from nothing to a meshed application whose fault is found: what the README promises."""

from __future__ import annotations

import json

import pytest

from tests.support.cluster.node.mesh import READY_S, Mesh
from tests.support.cluster.node.node import Node
from tests.support.wait import eventually

pytestmark = pytest.mark.timeout(900)

SAMPLE = "emojivoto"


def test_five_commands(node: Node, images: None) -> None:
    mesh = Mesh(node)
    if mesh.installed():
        mesh.uninstall()
    # Another test's may be going; what never was is gone at once.
    node.kubectl.try_("wait", "--for=delete", f"namespace/{SAMPLE}", "--timeout=120s")
    assert "Status check results are √" in mesh.cli("check", "--pre")
    mesh.apply(mesh.cli("install", "--crds"))
    mesh.apply(mesh.cli("install"))
    assert "Status check results are √" in mesh.cli("check")
    mesh.apply(mesh.cli("inject", "-", stdin=mesh.cli("sample", "emojivoto")))
    try:
        _sample_is_meshed(mesh)
        _the_fault_is_found(mesh)
        assert "Status check results are √" in mesh.cli("check", "--proxy", "-n", SAMPLE)
    finally:
        node.kubectl("delete", "namespace", SAMPLE, "--wait=false")


def _sample_is_meshed(mesh: Mesh) -> None:
    """Every workload has its proxy, and everything between them is mutual TLS."""
    for one in mesh.node.items("deployments", f"--namespace={SAMPLE}"):
        name = one["metadata"]["name"]
        mesh.node.kubectl(f"--namespace={SAMPLE}", "rollout", "status", f"deployment/{name}")

    def edges() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(
            mesh.cli("edges", "deploy", "-n", SAMPLE, "-o", "json")
        )
        return [one for one in found if one["src_namespace"] == one["dst_namespace"] == SAMPLE]

    eventually(lambda: len(edges()) >= 5, deadline_s=READY_S, what="edges of the sample")
    assert not [one for one in edges() if one["no_tls_reason"]]


def _the_fault_is_found(mesh: Mesh) -> None:
    """By the commands that find it locally."""

    def rates() -> dict[str, float]:
        rows = json.loads(mesh.cli("stat", "deploy", "-n", SAMPLE, "-o", "json"))
        return {row["name"]: row["success"] for row in rows if row.get("success") is not None}

    eventually(
        lambda: rates().get("voting", 1.0) < 1.0 and rates().get("emoji") == 1.0,
        deadline_s=READY_S,
        what="voting fails for some",
    )
