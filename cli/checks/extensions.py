"""Programs that extend the command line: `linkerd-NAME` on the PATH is called as `linkerd2-py NAME`, and has
checks of its own. The contract is Linkerd's, so that an extension serves both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from linkerd2_py.cli import PROGRAM
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Outcome, Result
from linkerd2_py.cli.main import EXTENSION as PREFIX
from linkerd2_py.cli.main import METADATA

_METADATA_S: Final = 10.0
_GRACE_S: Final = 60.0
_OUTCOMES: Final[Mapping[str, Outcome]] = {"success": "success", "warning": "warning"}


def programs(path: str | None = None) -> dict[str, Path]:
    """The extensions on the PATH by name: of several, the one that a shell would take."""
    found: dict[str, Path] = {}
    for folder in (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep):
        try:
            named = sorted(Path(folder).glob(f"{PREFIX}*")) if folder else []
        except OSError:
            continue
        for program in named:
            if program.is_file() and os.access(program, os.X_OK):
                found.setdefault(program.name.removeprefix(PREFIX), program)
    return found


def extension_results(
    installed: Sequence[str], *, words: Sequence[str], wait_s: float
) -> Iterator[Result]:
    """What the checks of extensions say: of those that are `installed` in the cluster, and of those that
    want to be asked always. `words` are passed on.
    """
    known = programs()
    always = {name for name, program in known.items() if _wants_always(program)}
    for name in sorted(always | (set(installed) & set(known))):
        yield from _checked(known[name], words=words, limit_s=wait_s + _GRACE_S)
    for name in sorted(set(installed) - set(known)):
        yield Result(
            f"{PREFIX}{name}",
            f"Linkerd extension command {PREFIX}{name} exists",
            "warning",
            f"there is no program {PREFIX}{name} on the PATH",
            linkerd("extensions"),
        )


def is_one() -> bool:
    """Whether this command is an extension itself, whose caller asks the others."""
    return Path(sys.argv[0]).name.startswith(PREFIX)


def _wants_always(program: Path) -> bool:
    """An older copy beside it, of another name, does not speak for itself."""
    try:
        done = subprocess.run(
            [program, METADATA],
            capture_output=True,
            check=False,
            timeout=_METADATA_S,
            stdin=subprocess.DEVNULL,
        )
        said = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ValueError, RecursionError):
        return False
    if not isinstance(said, dict) or str(said.get("name")).lower() != program.name.lower():
        return False
    if said.get("program") == PROGRAM:
        # This command under another name: it would only say everything once more.
        return False
    return bool(said.get("checks") == "always")


def _checked(program: Path, *, words: Sequence[str], limit_s: float) -> list[Result]:
    command = [str(program), "check", *words, "--output=json"]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=limit_s, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        problem = f"it did not end within {limit_s:g} s"
    except OSError as error:
        problem = f"it cannot be run: {error.strerror}"
    else:
        try:
            return list(_results(json.loads(done.stdout)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            said = done.stderr.decode(errors="replace").strip()
            problem = said or "what it printed is not the JSON of a check"
    title = f"Running: {' '.join(command)}"
    return [Result(program.name, title, "error", problem, linkerd("extensions"))]


def _results(said: Any) -> Iterator[Result]:
    for category in said["categories"] or ():
        for check in category["checks"] or ():
            yield Result(
                str(category["categoryName"]),
                str(check["description"]),
                _OUTCOMES.get(check["result"], "error"),
                str(check.get("error") or ""),
                str(check.get("hint") or ""),
            )
