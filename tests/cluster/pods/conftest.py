"""One node for all tests of this folder, with our images in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import programs
from tests.support.cluster.node.cluster import NodeCluster
from tests.support.cluster.node.machine import why_not
from tests.support.cluster.node.node import Node


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node until the last test of its one worker; where L5D_CLUSTER says, one that is kept up between runs."""
    kept = os.environ.get("L5D_CLUSTER")
    if kept:
        yield Node(Path(kept))
        return
    reason = why_not()
    if reason:
        pytest.skip(reason)
    if not (programs.built() and programs.TOOLS.built()):
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    root = tmp_path_factory.mktemp("node")
    with contextlib.closing(NodeCluster(root)):
        yield Node(root)
