"""Where a program listens, read from /proc: for the line that says why nobody reaches it.

A program is every process of the session that its first one leads; what it daemonizes out of it is not found.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"
_SESSION: Final = 3
"""The field of /proc/PID/stat, counted from behind the name, which may hold anything."""


def listening(leader: int) -> list[str]:
    """`host:port` of each of its TCP listeners, sorted; none where nothing can be read of it."""
    inodes = {inode for pid in _session(leader) for inode in _sockets(pid)}
    found = {address for inode, address in _listeners(leader) if inode in inodes}
    return [_shown(*address) for address in sorted(found)]


def _session(leader: int) -> Iterator[int]:
    for path in _PROC.iterdir():
        if path.name.isdecimal() and _session_of(path) == leader:
            yield int(path.name)


def _session_of(process: Path) -> int:
    try:
        text = (process / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[_SESSION])


def _sockets(pid: int) -> Iterator[str]:
    """The inodes of the sockets that a process has open; what is another user's cannot be seen."""
    links: list[str] = []
    with contextlib.suppress(OSError):
        for path in (_PROC / str(pid) / "fd").iterdir():
            # One may be closed meanwhile.
            with contextlib.suppress(OSError):
                links.append(str(path.readlink()))
    for link in links:
        if link.startswith("socket:["):
            yield link[len("socket:[") : -1]


def _listeners(leader: int) -> Iterator[tuple[str, tuple[str, int]]]:
    """Inode and address of every listener in the network of a process."""
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        try:
            lines = (_PROC / str(leader) / "net" / name).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for words in (line.split() for line in lines if f" {_LISTENING} " in line):
            if words[3] == _LISTENING:
                yield words[9], _address(words[1], family=family)


def _address(text: str, *, family: socket.AddressFamily) -> tuple[str, int]:
    """As the kernel writes it: 32 bits at a time in the machine's own order, all in hexadecimal."""
    host, _, port = text.partition(":")
    words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
    packed = struct.pack(f"={len(host) // 8}I", *words)
    return socket.inet_ntop(family, packed), int(port, 16)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
