"""One node for all tests of this folder, with our images in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import programs
from tests.support.cluster.node.cluster import NodeCluster
from tests.support.cluster.node.machine import why_not
from tests.support.cluster.node.mesh import Mesh
from tests.support.cluster.node.node import Node


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node until the last test of its one worker, or the one that L5D_CLUSTER names."""
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


@pytest.fixture(scope="session")
def images(node: Node) -> None:
    """Our images are in the node: those in the folder that L5D_IMAGES names, or built now."""
    folder = os.environ.get("L5D_IMAGES")
    if not folder:
        folder = "build/image/out"
        built = subprocess.run(
            [sys.executable, "-m", "image"], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
    for name in ("proxy", "controller"):
        node.load(Path(folder, f"linkerd2-py-{name}.tar"))


@pytest.fixture(scope="module")
def installed(node: Node, images: None) -> Mesh:
    """The control plane is installed, and ready: once, unless a test took it away."""
    found = Mesh(node)
    if not found.installed():
        found.install()
    return found
