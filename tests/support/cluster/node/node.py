"""A cluster of one node that runs, as whoever tests on it sees it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import psutil

from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.node import images
from tests.support.cluster.node.machine import entered

Object = dict[str, Any]


class Node:
    """What runs at `root`, whoever keeps it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kubeconfig = root / "keys" / "admin.kubeconfig"
        self.kubectl = Kubectl(self.kubeconfig)

    def load(self, archive: Path) -> list[str]:
        """Bring the images of an archive in: the names by which pods call them."""
        return images.load(self.root, archive)

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the node, beside its kubelet, to its end."""
        return subprocess.run(
            [*entered(self.root), *words], capture_output=True, text=True, check=False
        )

    def processes(self, name: str = "") -> list[psutil.Process]:
        """Those in the node of this name, or all of them."""
        space = Path("/proc", (self.root / "pid").read_text(), "ns", "pid").readlink()
        found = []
        for one in psutil.process_iter():
            try:
                here = Path("/proc", str(one.pid), "ns", "pid").readlink() == space
                if here and name in {"", one.name()}:
                    found.append(one)
            except (OSError, psutil.NoSuchProcess):
                continue
        return found

    def get(self, *words: str) -> Any:
        """What `kubectl get` says of them, as JSON."""
        return json.loads(self.kubectl("get", "--output=json", *words))

    def items(self, kind: str, *words: str) -> list[Object]:
        found: list[Object] = self.get(kind, *words)["items"]
        return found
