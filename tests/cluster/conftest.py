"""One real API server for all these tests; each test has a namespace of its own in it. Who takes away what
others need has another: `own_control_plane`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.cluster import programs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.kubectl import Kubectl
from tests.support.grpc_poller import grpc_poller

__all__ = ["grpc_poller"]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager, until the last test of its one worker."""
    yield from _running(tmp_path_factory)


@pytest.fixture(scope="module")
def own_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The same for the tests of one file alone."""
    yield from _running(tmp_path_factory)


def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    with contextlib.closing(ControlPlane(tmp_path_factory.mktemp("cluster"))) as running:
        yield running


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    return Kubectl(control_plane.kubeconfig)
