"""A program without a proxy that calls into a loopback mesh: it is served, and nobody takes it
for somebody.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MESH = """
namespace: shop
services:
  web-svc: {port: 80, targetPort: 8080, workload: web}
workloads:
  web: {command: [sh, -c, 'exec python3 -m http.server --bind "$HOST" "$PORT"']}
  legacy:
    command: [sh, -c, 'while sleep 0.1; do curl -s -o /dev/null -w "%{http_code}\\n" "http://$WEB_SVC_ADDR/"; done']
    meshed: false
    outbound: [web-svc]
"""


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[MeshCli]:
    with mesh_up(tmp_path, {"mesh.yaml": MESH}) as made:
        yield made


def answered(cli: MeshCli, **labels: str) -> float:
    """Requests that the proxy of web-0 saw with these labels."""
    metrics = cli.ok("diagnostics", "proxy-metrics", "po/web-0")
    series = re.findall(
        r'^response_total\{(.*direction="inbound".*)\} (\d+)$', metrics, re.MULTILINE
    )
    return sum(
        int(count)
        for found, count in series
        if all(f'{name}="{value}"' in found for name, value in labels.items())
    )


def test_it_is_served_and_counts_as_what_it_is(cli: MeshCli) -> None:
    eventually(lambda: answered(cli) > 3, deadline_s=30)
    assert "200\n" in cli.ok("local", "logs", "legacy-0", "-c", "app")
    assert answered(cli, tls="true") == 0
    assert answered(cli, tls="no_identity") > 3
    row = eventually(
        lambda: [one for one in cli.json("stat", "deploy/web") if one["tls"] is not None]
    )
    assert row[0]["tls"] == 0
    assert cli.run("edges", "deploy").out.count("legacy") == 0
    # People come in by the ingress, which proves who it is.
    link = cli.state()["links"]["web-svc"]
    subprocess.run(["curl", "-sSf", "-o", "/dev/null", link], check=True)
    eventually(lambda: answered(cli, tls="true") == 1)
