"""What mesh.yaml says of whom a workload lets in, kept by its proxy."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.integration.local.transparent_mesh import inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SERVE = """[sh, -c, 'exec python3 -m http.server --bind "$HOST" "$PORT"']"""
MESH = f"""
namespace: shop
services:
  open: {{port: 80, targetPort: 8080, workload: open}}
  known: {{port: 80, targetPort: 8080, workload: known}}
  guarded: {{port: 80, targetPort: 8080, workload: guarded}}
  closed: {{port: 80, targetPort: 8080, workload: closed}}
workloads:
  open: {{command: {SERVE}}}
  known: {{command: {SERVE}, defaultInboundPolicy: cluster-authenticated}}
  guarded: {{command: {SERVE}, requireIdentityPorts: [8080]}}
  closed: {{command: {SERVE}, defaultInboundPolicy: deny}}
  caller: {{command: [sleep, infinity], outbound: [open, known, guarded, closed]}}
  outsider: {{command: [sleep, infinity], meshed: false}}
"""
STATUS = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "10")
SERVICES = ("open", "known", "guarded", "closed")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    root = tmp_path_factory.mktemp("policies")
    with mesh_up(root, {"mesh.yaml": MESH}, mode="transparent") as made:
        yield made


@pytest.mark.parametrize(
    ("caller", "statuses"),
    [
        ("caller-0", ["200", "200", "200", "403"]),
        ("outsider-0", ["200", "403", "403", "403"]),
    ],
)
def test_who_is_let_in(cli: MeshCli, caller: str, statuses: list[str]) -> None:
    words = ("curl", *STATUS)
    assert [inside(cli, caller, *words, f"http://{name}/") for name in SERVICES] == statuses


def test_on_loopback_addresses_identities_are_judged(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """All connections come from 127.0.0.1 there; doors have an identity of the mesh."""
    with mesh_up(tmp_path_factory.mktemp("loopback"), {"mesh.yaml": MESH}) as made:
        links = made.state()["links"]
        found = [
            subprocess.run(
                ["curl", *STATUS, links[name]], capture_output=True, text=True, check=True
            ).stdout
            for name in SERVICES
        ]
        assert found == ["200", "200", "200", "403"]
