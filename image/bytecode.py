"""Compiled modules beside their sources, so that nothing is compiled at a start: a pod's root is read-only.

They are never checked against their sources, whose times an image does not keep. Bytes of a compiled module
depend on the order of sets, on what the compiling process holds already and on the interpreter; so a fresh
process compiles, always in the same order.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

from image.errors import ImageError
from image.tree import Entry, Tree

PYTHON: Final = (3, 11)
"""Of the images: Debian's."""
SUFFIX: Final = f"cpython-{PYTHON[0]}{PYTHON[1]}.pyc"
_WORKER: Final = "image.bytecode_worker"


def check_interpreter() -> None:
    """ImageError if ours does not compile what that of the images reads."""
    if sys.version_info[:2] != PYTHON:
        wanted, ours = ".".join(map(str, PYTHON)), ".".join(map(str, sys.version_info[:2]))
        raise ImageError(
            f"the images have Python {wanted}, and this is {ours}:"
            f" make the environment with PYTHON=python{wanted}"
        )


def add_compiled(tree: Tree) -> None:
    """`__pycache__` for each module of the tree. ImageError for a module that does not compile."""
    sources = [path for path, _ in tree.files() if path.endswith(".py")]
    if not sources:
        return
    for path, compiled in zip(sources, _compile(tree, sources), strict=True):
        module = PurePosixPath(path)
        tree.add(f"{module.parent}/__pycache__/{module.stem}.{SUFFIX}", Entry(compiled))


def _compile(tree: Tree, sources: Sequence[str]) -> Iterator[bytes]:
    """In the order of `sources`."""
    lengths = [(f"/{path}", len(tree.entries[path].content)) for path in sources]
    asked = json.dumps(lengths).encode() + b"\n"
    asked += b"".join(tree.entries[path].content for path in sources)
    env = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")}
    done = subprocess.run(
        [sys.executable, "-s", "-m", _WORKER],
        input=asked,
        capture_output=True,
        check=False,
        env=env,
    )
    if done.returncode:
        raise ImageError(
            f"a module does not compile: {done.stderr.decode().strip().splitlines()[-1]}"
        )
    at = done.stdout.index(b"\n") + 1
    for length in json.loads(done.stdout[:at]):
        yield done.stdout[at : at + length]
        at += length


def source_hash(source: bytes) -> bytes:
    """As a compiled module names its source."""
    return importlib.util.source_hash(source)
