"""How the control plane is configured at the moment: files that Kubernetes mounts, read again when they
change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.values import defaults, laid_over, read
from linkerd2_py.controlplane.edits import Stamp, stamp
from linkerd2_py.controlplane.injector.inject import Mesh
from linkerd2_py.controlplane.policy.admission.app import UnansweredError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """The values that it was installed with, and the anchors that are trusted now."""

    values: Path
    anchors: Path


class Configured:
    """The newest configuration that could be read: what cannot be used is told, and changes nothing."""

    def __init__(self, files: ConfigFiles, *, namespace: str, created_by: str) -> None:
        self._files = files
        self._namespace = namespace
        self._created_by = created_by
        self._seen: tuple[Stamp, Stamp] | None = None
        self._mesh: Mesh | None = None
        self.problem = ""
        """Why the files cannot be used; empty while they can."""

    def mesh(self) -> Mesh:
        """UnansweredError where there never was any."""
        self.look()
        if self._mesh is None:
            raise UnansweredError(self.problem)
        return self._mesh

    def look(self) -> None:
        """Read what has changed."""
        seen = stamp(self._files.values), stamp(self._files.anchors)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            values = read(self._files.values.read_text(), name=str(self._files.values))
            anchors = self._files.anchors.read_text()
            if not anchors.strip():
                raise ValuesError(f"{self._files.anchors}: there is no trust anchor in it")
        except (OSError, ValueError, ValuesError) as error:
            self.problem = " ".join(str(error).split())
            logger.warning("the configuration cannot be used: %s", self.problem)
            return
        made = laid_over(laid_over(defaults(), values), {"identityTrustAnchorsPEM": anchors})
        self._mesh = Mesh(made, namespace=self._namespace, created_by=self._created_by)
        self.problem = ""
        logger.info("configured by %s, %s", self._files.values, self._files.anchors)

    def missing(self) -> str:
        """What is needed before pods can be answered for."""
        self.look()
        return "" if self._mesh else self.problem
