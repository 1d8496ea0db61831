"""How a person calls this program from where they stand, for hints that can be pasted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from linkerd2_py.cli import PROGRAM


def shown_program(script: str | None = None, *, cwd: Path | None = None) -> str:
    """`linkerd2-py` if the shell would find this very program by that name, else its path."""
    own = Path(script or sys.argv[0]).absolute()
    # Run as a module: there is no script, and nothing better than the name.
    if own.name != PROGRAM or not own.exists():
        return PROGRAM
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).resolve() == own.resolve():
        return PROGRAM
    here = cwd or Path.cwd()
    return str(own.relative_to(here)) if own.is_relative_to(here) else str(own)
