"""Debian packages as trees: found and fetched by apt, which proves them, and read without being installed.

No script of a package runs: what scripts would leave behind that is needed (links of alternatives, the bundle
of certificates) is named in `contents.toml` or made by `layers`.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image.errors import ImageError
from image.hashes import sha256_hex
from image.tree import Entry, Tree

RELEASE: Final = "bookworm"
_AS_ROOT_TOO: Final = ("-o", "APT::Sandbox::User=root")
_LINE: Final = re.compile(r"'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>\w{64})")
_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package, as apt's signed lists have it."""

    file: str
    sha256: str

    @property
    def name(self) -> str:
        return self.file.split("_")[0]

    @property
    def version(self) -> str:
        return self.file.split("_")[1].replace("%3a", ":")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Its files, and its control file."""

    tree: Tree
    control: str


def check_machine() -> None:
    """ImageError on a machine that is not of our release: what was compiled there would not fit."""
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    if f"VERSION_CODENAME={RELEASE}\n" not in text:
        raise ImageError(
            f"images are built on Debian {RELEASE}, which this machine is not:"
            " build with image/Containerfile, which brings its own"
        )


def architecture() -> str:
    """Debian's word for this machine's: amd64, arm64."""
    return _run("dpkg", "--print-architecture").strip()


def find(names: Sequence[str]) -> list[Package]:
    """The newest version of each, in the given order."""
    words = ("apt-get", *_AS_ROOT_TOO, "--print-uris", "download", *names)
    try:
        listed = _run(*words)
    except ImageError:
        # A fresh machine has no lists.
        _run("apt-get", "-q", "update")
        listed = _run(*words)
    found = [Package(m["file"], m["sha256"]) for m in _LINE.finditer(listed)]
    by_name = {package.name: package for package in found}
    if missing := set(names) - by_name.keys():
        raise ImageError(f"apt knows no package {', '.join(sorted(missing))}")
    return [by_name[name] for name in names]


def fetch(packages: Sequence[Package], folder: Path) -> None:
    """Have each as a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [package for package in packages if not (folder / package.file).exists()]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        exact = [f"{package.name}={package.version}" for package in wanted]
        _run("apt-get", "-q", *_AS_ROOT_TOO, "download", *exact, folder=scratch)
        for package in wanted:
            path = Path(scratch, package.file)
            if sha256_hex(path.read_bytes()) != package.sha256:
                raise ImageError(f"{package.file} is not what apt's lists say it is")
            path.replace(folder / package.file)


def unpack(path: Path) -> Unpacked:
    """All that a package would install."""
    parts = dict(_ar_members(path.read_bytes()))
    control = data = None
    for name, content in parts.items():
        if name.startswith("control.tar"):
            control = _opened(name, content)
        elif name.startswith("data.tar"):
            data = _opened(name, content)
    if control is None or data is None:
        raise ImageError(f"{path} is no Debian package")
    with control, data:
        return Unpacked(_tree(data), _content(control, "./control").decode())


def _ar_members(raw: bytes) -> Iterator[tuple[str, bytes]]:
    if not raw.startswith(_AR_MAGIC):
        raise ImageError("a Debian package is an ar archive, and this file is none")
    at = len(_AR_MAGIC)
    while at < len(raw):
        header = raw[at : at + _AR_HEADER]
        size = int(header[48:58])
        at += _AR_HEADER
        yield header[:16].decode().strip().rstrip("/"), raw[at : at + size]
        at += size + size % 2


def _opened(name: str, content: bytes) -> tarfile.TarFile:
    if name.endswith(".xz"):
        content = lzma.decompress(content)
    elif not name.endswith((".tar", ".gz")):
        raise ImageError(f"{name}: of the ways to compress a package, xz and gzip are known here")
    return tarfile.open(fileobj=io.BytesIO(content))


def _tree(archive: tarfile.TarFile) -> Tree:
    tree = Tree()
    for member in archive:
        if member.issym():
            tree.add(member.name, Entry(link=member.linkname))
        elif member.isfile() or member.islnk():
            tree.add(member.name, Entry(_content(archive, member), mode=member.mode & 0o755))
    return tree


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo | str) -> bytes:
    file = archive.extractfile(member)
    if file is None:
        raise ImageError(f"{member} is not a file of the package")
    return file.read()


def _run(*words: str, folder: str | None = None) -> str:
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ImageError(f"{words[0]} is not here: images are made of Debian packages") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise ImageError(f"{' '.join(words[:1])} failed: {last}")
    return done.stdout
