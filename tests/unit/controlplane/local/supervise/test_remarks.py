"""What of a mesh.yaml is told to be otherwise on loopback addresses."""

import pytest

from linkerd2_py.controlplane.local.supervise.remarks import remarks_on
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh

MESH = """\
services:
  web: {workload: web, policy: {allow: [%s]}}
workloads:
  web: {command: [web]}
"""
ELSEWHERE = (
    "web-10-0-0-0-8 lets in clients of other networks, and all are at 127.0.0.1 here: --transparent"
    " gives them addresses of their own"
)


@pytest.mark.parametrize(
    ("allowed", "remarks"),
    [
        ("web", []),
        ("10.0.0.0/8", [ELSEWHERE]),
        ("0.0.0.0/0", []),
        ("{from: [10.0.0.0/8, 127.0.0.1]}", []),
    ],
)
def test_networks_say_little_on_loopback(allowed: str, remarks: list[str]) -> None:
    mesh = parse_mesh(MESH % allowed, source="mesh.yaml")
    assert remarks_on(mesh, transparent=False) == remarks
    assert remarks_on(mesh, transparent=True) == []
