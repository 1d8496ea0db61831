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

from tests.support.cluster.node.mesh import Mesh

pytestmark = pytest.mark.timeout(1800)

# `e2e_*` run programs of images that come from registries.
POLICY = re.compile(r"((?:admit|inbound|outbound)_\w+)-[0-9a-f]{16}")
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


@pytest.mark.parametrize("program", [*each()])
def test_policies_are_as_linkerd_s_suite_expects(installed: Mesh, program: Path) -> None:
    done = subprocess.run(
        [program, "--test-threads=4"],
        env={**os.environ, "KUBECONFIG": str(installed.node.kubeconfig)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
