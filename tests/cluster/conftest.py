"""One real API server for all these tests; each test has a namespace of its own in it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import programs
from tests.support.cluster.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager, until the last test of its one worker."""
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    with contextlib.closing(ControlPlane(tmp_path_factory.mktemp("cluster"))) as running:
        yield running


class Kubectl:
    """kubectl as somebody who may do everything."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._program = programs.folder() / "kubectl"

    def __call__(self, *words: str, stdin: str = "") -> str:
        """What it printed. Fails the test when kubectl fails."""
        command = [str(self._program), f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    return Kubectl(control_plane.kubeconfig)
