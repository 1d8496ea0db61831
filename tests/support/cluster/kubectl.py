"""kubectl, the real one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.cluster import programs


class Kubectl:
    """kubectl as somebody who may do everything."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._program = programs.folder() / "kubectl"

    def __call__(self, *words: str, stdin: str = "") -> str:
        """What it printed. Fails the test when kubectl fails."""
        done = self.try_(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def try_(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Whatever became of it."""
        command = [str(self._program), f"--kubeconfig={self.kubeconfig}", *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """These are there now, as they are here."""
        self("apply", "--server-side", "--filename=-", stdin=listed(objects))

    def apply_status(self, *objects: Mapping[str, Any]) -> None:
        """The status of objects that are there is what it is here."""
        # A status without what it is the status of is not a whole object.
        words = ("apply", "--server-side", "--subresource=status", "--validate=false")
        self(*words, "--filename=-", stdin=listed(objects))


def listed(objects: Iterable[Mapping[str, Any]]) -> str:
    """Several objects as one file."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
