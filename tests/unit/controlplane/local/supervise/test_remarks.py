"""What of a mesh.yaml is told to be otherwise on loopback addresses."""

import pytest

from linkerd2_py.controlplane.local.supervise.remarks import remarks_on
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.traffic_rules import UNDONE

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


@pytest.mark.parametrize("word", UNDONE)
def test_what_proxies_do_not_do_yet_is_told_with_its_line(word: str) -> None:
    values = {"redirect": "{path: /}"}
    route = MESH % "web"
    route = route.replace("policy:", f"routes: [{{{word}: {values[word]}}}], policy:")
    mesh = parse_mesh(route, source="mesh.yaml")
    assert remarks_on(mesh, transparent=True) == [
        f"mesh.yaml:2: services.web.routes[0].{word}: proxies do not do this yet: requests go on without it"
    ]


def test_a_share_of_the_requests_of_one_backend_fails_not_yet() -> None:
    text = (MESH % "web").replace(
        "policy:", "split: {web: {weight: 1, fail: {status: 503, share: 1%}}}, policy:"
    )
    mesh = parse_mesh(text, source="mesh.yaml")
    assert remarks_on(mesh, transparent=True) == [
        "mesh.yaml:2: services.web.split.web.fail: proxies do not do this yet: requests go on without it"
    ]
