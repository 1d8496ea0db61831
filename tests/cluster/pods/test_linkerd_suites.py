"""Linkerd's own suite of policies, which is written for any cluster, against our control plane in one.

L5D_POLICY_TEST is a folder with the programs of its policy-test, as `cargo test --no-run` leaves them
(`target/debug/deps`). Without it that is reported as skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import programs as programs_of_cluster
from tests.support.cluster.crds import install_crds
from tests.support.cluster.node import images
from tests.support.cluster.node.mesh import Mesh

pytestmark = pytest.mark.timeout(1800)

# `e2e_*` run programs of images that come from registries.
POLICY = re.compile(r"((?:admit|inbound|outbound)_\w+)-[0-9a-f]{16}")
PAUSE = "registry.k8s.io/pause:3.2"
FOLDER = os.environ.get("L5D_POLICY_TEST", "")


def programs() -> dict[str, Path]:
    """The newest of each name."""
    found = sorted(Path(FOLDER).iterdir(), key=lambda path: path.stat().st_mtime) if FOLDER else ()
    matched = ((POLICY.fullmatch(path.name), path) for path in found)
    return {match[1]: path for match, path in matched if match}


def each() -> Iterator[object]:
    if not programs():
        reason = "L5D_POLICY_TEST names no folder with the programs of Linkerd's policy-test"
        yield pytest.param(Path(), id="none", marks=pytest.mark.skip(reason=reason))
    for name, path in programs().items():
        yield pytest.param(path, id=name)


@pytest.fixture(scope="module")
def ready(installed: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """With the kinds of Gateway API, and the image that the suite's pods have."""
    install_crds(installed.node.kubectl)
    archive = tmp_path_factory.mktemp("pause") / "pause.tar"
    program = programs_of_cluster.TOOLS.folder() / "pause"
    images.write(archive, PAUSE, {"pause": program}, entry=["/pause"])
    installed.node.load(archive)
    return installed


@pytest.mark.parametrize("program", [*each()])
def test_policies_are_as_linkerd_s_suite_expects(ready: Mesh, program: Path) -> None:
    done = subprocess.run(
        [program, "--test-threads=4"],
        env={**os.environ, "KUBECONFIG": str(ready.node.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
