"""The cluster that Linkerd's own controllers were asked about, for all who compare their answers with ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.cluster import programs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.recorded import MISSING, RECORDED, apply_recorded


@pytest.fixture(scope="session")
def linkerd_objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server that holds them, for reading only."""
    if not RECORDED.is_dir():
        pytest.skip(MISSING)
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    root = tmp_path_factory.mktemp("recorded")
    with contextlib.closing(ControlPlane(root, controllers=False)) as running:
        apply_recorded(Kubectl(running.kubeconfig))
        yield running
