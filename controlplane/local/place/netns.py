"""Being inside a named network namespace for a moment."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

RUN_NETNS: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_PROC_SYS: Final = Path("/proc/sys")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def names() -> list[str]:
    """The namespaces that have a name."""
    try:
        return sorted(path.name for path in RUN_NETNS.iterdir())
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def entered(netns: str) -> Iterator[None]:
    """What this thread does in the block, it does in that namespace; sockets made there stay there.

    Must not be left by an `await`: the thread belongs to every task.
    """
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(RUN_NETNS / netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set(other)
        finally:
            os.close(other)
        try:
            yield
        finally:
            _set(own)
    finally:
        os.close(own)


def socket_in(
    netns: str, *, family: socket.AddressFamily, kind: socket.SocketKind
) -> socket.socket:
    """A socket whose network is that of the namespace."""
    with entered(netns):
        return socket.socket(family, kind)


def write_settings(netns: str, *, settings: Mapping[str, str]) -> None:
    """Set kernel parameters of a namespace; /proc/sys/net is that of whoever opens it."""
    with entered(netns):
        for name, value in settings.items():
            (_PROC_SYS / name).write_text(value)


def _set(fd: int) -> None:
    if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
