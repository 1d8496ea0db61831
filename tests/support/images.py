"""Our container images in tests: built by the command that users have, and run as a pod would."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.oci_archive import OciArchive
from tests.support.wait import patience

ROOT = Path(__file__).parents[2]
PROXY, CONTROLLER = "linkerd2-py-proxy", "linkerd2-py-controller"
NAMES = (PROXY, CONTROLLER)


def build(out: Path, *words: str) -> dict[str, OciArchive]:
    """`./mesh image` into `out`; what it says is in the failure when it fails."""
    command = [sys.executable, "-m", "image", "--out", str(out), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return {name: OciArchive(out / f"{name}.tar") for name in NAMES}


@dataclass(frozen=True, slots=True)
class Container:
    """What a pod has of an image: its files, read-only, and an ordinary user."""

    root: Path

    def words(
        self, *program: str, uid: int, capabilities: str = "", folders: Sequence[Path] = ()
    ) -> list[str]:
        """The words that run a program in it; each of `folders` is there under its own name."""
        there = [str(folder) for folder in folders]
        enter = [str(ROOT / "tests/support/in_root.py"), str(self.root), str(uid), capabilities]
        return [sys.executable, *enter, *there, "--", *program]

    def run(
        self, *program: str, uid: int, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A program to its end."""
        return subprocess.run(
            self.words(*program, uid=uid),
            env=env or {},
            capture_output=True,
            text=True,
            check=False,
            timeout=30 * patience(),
        )
