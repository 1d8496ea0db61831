"""Which shared libraries a file asks for, and which an image lacks."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from image.tree import Tree

MAGIC: Final = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB = 1, 5


def needed(content: bytes) -> list[str]:
    """Names of the libraries that a 64-bit little-endian file is linked with; empty for what is no such."""
    if not content.startswith(MAGIC + b"\x02\x01"):
        return []
    segments = list(_segments(content))
    dynamic = next(((at, size) for kind, at, _, size in segments if kind == _PT_DYNAMIC), (0, 0))
    pairs = [
        struct.unpack_from("<QQ", content, at)
        for at in range(dynamic[0], dynamic[0] + dynamic[1], 16)
    ]
    table = next((value for tag, value in pairs if tag == _DT_STRTAB), 0)
    for kind, at, address, size in segments:
        if kind == _PT_LOAD and address <= table < address + size:
            names = at + table - address
            return [_text(content, names + value) for tag, value in pairs if tag == _DT_NEEDED]
    return []


def _segments(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, address, size) of each."""
    (start,) = struct.unpack_from("<Q", content, 32)
    entry_size, count = struct.unpack_from("<HH", content, 54)
    for at in range(start, start + entry_size * count, entry_size):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", content, at)
        yield kind, offset, address, size


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()


def missing_libraries(tree: Tree) -> dict[str, list[str]]:
    """What an image's files ask for and nothing in it is called, by file."""
    names = {PurePosixPath(path).name for path in tree.entries}
    asked = {path: needed(entry.content) for path, entry in tree.files()}
    lacking = {
        path: [name for name in wanted if name not in names] for path, wanted in asked.items()
    }
    return {path: wanted for path, wanted in lacking.items() if wanted}
