"""Wheels as trees: those of the index as they were locked, and our own, built from this checkout."""

from __future__ import annotations

import email.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image.elf import MAGIC
from image.errors import ImageError
from image.hashes import sha256_hex
from image.tree import Entry, Tree, matches

PLACE: Final = "usr/lib/python3/dist-packages"
"""Where Debian's Python looks for what is not its own."""
# Of a wheel's own description: its name and version for whoever asks, its entry points, and its licences.
_DESCRIPTION: Final = re.compile(
    r"[^/]+\.dist-info/(METADATA|entry_points\.txt|(licenses/)?[A-Z][^/]*)"
)
_NOT_DESCRIPTION: Final = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED")
_NOT_AT_RUN_TIME: Final = (
    "*.pyx",
    "*.pxd",
    "*.pxi",
    "*.pyi",
    "*.c",
    "*.cc",
    "*.h",
    "*.hash",
    "*/py.typed",
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One of them, as it lies on the disk."""

    path: Path

    @property
    def sha256(self) -> str:
        """Of what is in it: a build writes times that mean nothing."""
        with zipfile.ZipFile(self.path) as archive:
            inside = sorted((i.filename, sha256_hex(archive.read(i))) for i in archive.infolist())
        return sha256_hex(repr(inside).encode())

    def metadata(self) -> dict[str, str]:
        """Name, version and licence, as it says."""
        with zipfile.ZipFile(self.path) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            told = email.parser.Parser().parsestr(archive.read(name).decode())
        licence = told["License-Expression"] or (told["License"] or "").strip().partition("\n")[0]
        return {"name": told["Name"], "version": told["Version"], "licence": licence}

    def tree(self, *, drop: Sequence[str]) -> Tree:
        """What it installs and a program needs, its libraries without symbols for debuggers."""
        tree = Tree()
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                path = _installed(info.filename)
                if path and not info.is_dir() and not matches(path, [*_NOT_AT_RUN_TIME, *drop]):
                    tree.add(f"{PLACE}/{path}", Entry(archive.read(info)))
        for path, entry in list(tree.files()):
            if entry.content.startswith(MAGIC):
                tree.change(path, stripped(entry.content))
        return tree


def _installed(name: str) -> str:
    """Where it goes below the place of packages; nothing for what is left out."""
    first, _, rest = name.partition("/")
    if first.endswith(".data"):
        kind, _, rest = rest.partition("/")
        return rest if kind in {"purelib", "platlib"} else ""
    if first.endswith(".dist-info"):
        wanted = _DESCRIPTION.fullmatch(name) and rest not in _NOT_DESCRIPTION
        return name if wanted else ""
    return name


def stripped(content: bytes) -> bytes:
    """An ELF file without what only a debugger or linker reads."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        _run("strip", "--strip-unneeded", file.name)
        return Path(file.name).read_bytes()


def fetch(locked: Path, folder: Path) -> list[Wheel]:
    """The wheels of a list, each proven by its hash."""
    folder = folder / sha256_hex(locked.read_bytes())[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            words = ("download", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:")
            _run(sys.executable, "-m", "pip", *words, "-r", str(locked), "-d", f"{scratch}/wheels")
            Path(scratch, "wheels").replace(folder)
    return [Wheel(path) for path in sorted(folder.glob("*.whl"))]


def build_own(root: Path, folder: Path) -> Wheel:
    """From the checkout at `root`. What `./mesh build` has compiled and is still true is taken over."""
    shutil.rmtree(folder, ignore_errors=True)
    lib, base = folder / "lib", folder / "base"
    compiled = f"temp.linux-{os.uname().machine}-cpython-{sys.version_info[0]}{sys.version_info[1]}"
    if (root / "build" / compiled).exists():
        shutil.copytree(root / "build" / compiled, base / compiled)
    _run(
        *(sys.executable, "setup.py", "-q"),
        *("build", "--build-base", str(base), "--build-lib", str(lib)),
        *("bdist_wheel", "--dist-dir", str(folder), "--bdist-dir", str(folder / "unpacked")),
        folder=root,
    )
    return Wheel(next(folder.glob("*.whl")))


def _run(*words: str, folder: Path | None = None) -> None:
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=folder, env=env
        )
    except FileNotFoundError:
        raise ImageError(f"{words[0]} is not here: apt-get install binutils gcc") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise ImageError(f"{' '.join(words[:3])} failed: {lines[-1]}")
