"""Anchors of a running mesh are exchanged as docs/identity.md says: every proxy comes to trust the new ones,
the ingress too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.integration.local.mesh_cli import MeshCli
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MESH = """
namespace: shop
services:
  web-svc: {port: 80, targetPort: 8080, workload: web}
workloads:
  web:
    command: [sh, -c, 'exec python3 -m http.server --bind "$HOST" "$PORT"']
    replicas: 2
    ready: {http: 8080}
  outsider: {command: [sleep, infinity], meshed: false}
"""
ANCHORS = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"
DEADLINE_S = 60.0


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[MeshCli]:
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = MeshCli(tmp_path)
    yield made
    made.stop()


def _trusted(cli: MeshCli) -> list[str]:
    """The bundle that each proxy was told to trust; none of a process that is just ending."""
    found = []
    for process in cli.family():
        try:
            found.append(process.environ().get(ANCHORS, ""))
        except psutil.Error:
            continue
    return [bundle for bundle in found if bundle]


def _addresses(cli: MeshCli) -> dict[str, str]:
    """Of the pods that run; one that was replaced has another."""
    return {pod["name"]: pod["ip"] for pod in cli.json("get", "pods") if pod["status"] == "Running"}


def _updates(cli: MeshCli) -> float:
    text = httpx2.get(
        f"{cli.state()['public_api']}/metrics", trust_env=False, timeout=10 * patience()
    ).text
    (value,) = re.findall(
        r'^identity_issuer_updates_total\{event="IssuerUpdated"\} (.+)$', text, re.MULTILINE
    )
    return float(value)


def _serves(cli: MeshCli) -> bool:
    try:
        page = httpx2.get(cli.state()["links"]["web-svc"], trust_env=False, timeout=5 * patience())
    except httpx2.HTTPError:
        return False
    return page.status_code == 200


def _all_trust(cli: MeshCli, bundle: str) -> dict[str, str]:
    """Wait until both replicas and the ingress do, and serve; the addresses of pods."""
    eventually(lambda: _trusted(cli) == [bundle] * 3, deadline_s=DEADLINE_S)
    eventually(lambda: _serves(cli), deadline_s=DEADLINE_S)
    return eventually(
        lambda: found if len(found := _addresses(cli)) == 3 else None, deadline_s=DEADLINE_S
    )


def test_anchors_are_exchanged_in_three_steps(cli: MeshCli) -> None:
    for name in ("old", "new"):
        cli.ok("identity-ca", "--out", name)
    old, new = ((cli.root / name / "ca.crt").read_text() for name in ("old", "new"))
    used = cli.root / "used"
    shutil.copytree(cli.root / "old", used)
    cli.ok(
        *("local", "up", "-f", "mesh.yaml", "-d"),
        *("--identity-trust-anchors-file", "used/ca.crt"),
        *("--identity-issuer-certificate-file", "used/issuer.crt"),
        *("--identity-issuer-key-file", "used/issuer.key"),
    )
    first = _all_trust(cli, old)
    (used / "ca.crt").write_text(old + new)
    second = _all_trust(cli, old + new)
    updates = _updates(cli)
    for name in ("issuer.crt", "issuer.key"):
        shutil.copy(cli.root / "new" / name, used)
    eventually(lambda: _updates(cli) > updates)
    # What signs is nothing to the pods.
    assert _addresses(cli) == second
    (used / "ca.crt").write_text(new)
    third = _all_trust(cli, new)
    for before, after in ((first, second), (second, third)):
        assert {name for name in before if before[name] != after[name]} == {"web-0", "web-1"}
