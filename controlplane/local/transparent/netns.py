"""Running iproute2 and iptables, and doing things inside a network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from linkerd2_py.controlplane.local.addresses import AddressError
from linkerd2_py.controlplane.local.transparent.commands import Batch

RUN_NETNS: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_PROC_SYS: Final = Path("/proc/sys")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class NetworkError(AddressError):
    """The kernel or a program refused; the text is one line for a person."""


async def run(*argv: str, text: str = "") -> str:
    """What a program prints, given `text` to read. NetworkError with its last words if it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NetworkError(f"cannot run {argv[0]}: {error.strerror}") from error
    try:
        out, err = await process.communicate(text.encode())
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        words = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
        raise NetworkError(f"{' '.join(argv)}: {words[0] if words else 'failed'}")
    return out.decode(errors="replace")


async def apply(batches: Iterable[Batch]) -> None:
    """Run them in order. NetworkError at the first line that is refused."""
    for batch in batches:
        if batch.settings:
            write_settings(batch.netns, settings=batch.settings)
        where = ("-n", batch.netns) if batch.netns else ()
        await run("ip", *where, "-batch", "-", text=batch.text)


async def restore(text: str, *, netns: str = "", ipv6: bool = False) -> None:
    """Load rules beside those that are there."""
    program = "ip6tables-restore" if ipv6 else "iptables-restore"
    where = ("ip", "netns", "exec", netns) if netns else ()
    await run(*where, program, "--noflush", "--wait", text=text)


async def save() -> str:
    """The host's rules, as iptables-save prints them."""
    return await run("iptables-save")


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
