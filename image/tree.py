"""A file system in memory, and the archive of it: sorted, without times or names of owners, so that equal
trees are equal bytes.
"""

from __future__ import annotations

import fnmatch
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final, Self

FOLDER_MODE: Final = 0o755
# As Debian has merged them: packages name files in the left ones, which are links to the right ones.
MERGED: Final = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
CAPABILITY: Final = "SCHILY.xattr.security.capability"


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file, or a symbolic link when `link` is not empty. Everything belongs to root."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    capability: bytes = b""
    """As the kernel keeps it with the file; empty: none."""


@dataclass(slots=True)
class Tree:
    """Entries by path, without a leading slash; folders are implied unless they have a mode of their own."""

    entries: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, entry: Entry) -> None:
        self.entries[merged(path)] = entry

    def update(self, other: Tree) -> Self:
        """`other`'s entries over ours."""
        self.entries |= other.entries
        self.folders |= other.folders
        return self

    def select(self, wanted: Callable[[str], bool]) -> Tree:
        """Only entries that are wanted; folders of their own stay."""
        kept = {path: entry for path, entry in self.entries.items() if wanted(path)}
        return Tree(kept, dict(self.folders))

    def change(self, path: str, content: bytes) -> None:
        self.entries[path] = replace(self.entries[path], content=content)

    def files(self) -> Iterator[tuple[str, Entry]]:
        """Regular files in order of their paths."""
        return ((path, entry) for path, entry in sorted(self.entries.items()) if not entry.link)

    @property
    def size(self) -> int:
        """Bytes in regular files."""
        return sum(len(entry.content) for _, entry in self.files())

    def archive(self) -> bytes:
        """A POSIX archive of all of it."""
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for member, content in self._members():
                archive.addfile(member, io.BytesIO(content))
        return sink.getvalue()

    def _members(self) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        folders = {str(parent) for path in self.entries for parent in PurePosixPath(path).parents}
        folders |= self.folders.keys()
        for path in sorted((folders | self.entries.keys()) - {"."}):
            member = tarfile.TarInfo(path)
            entry = self.entries.get(path)
            if entry is None:
                member.type, member.mode = tarfile.DIRTYPE, self.folders.get(path, FOLDER_MODE)
                yield member, b""
            elif entry.link:
                member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, entry.link
                yield member, b""
            else:
                member.mode, member.size = entry.mode, len(entry.content)
                if entry.capability:
                    member.pax_headers = {
                        CAPABILITY: entry.capability.decode("utf-8", "surrogateescape")
                    }
                yield member, entry.content


def merged(path: str) -> str:
    """The path as it is where /bin, /sbin and /lib are links into /usr."""
    path = str(PurePosixPath(path.removeprefix("./").lstrip("/")))
    first, slash, rest = path.partition("/")
    return f"{MERGED[first]}/{rest}" if slash and first in MERGED else path


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is the path, one of its folders, or matches either (`*` also over `/`)."""
    return any(
        fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f"{pattern}/*")
        for pattern in patterns
    )
