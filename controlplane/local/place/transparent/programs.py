"""iproute2 and iptables, run with texts to read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from linkerd2_py.controlplane.local.place.netns import write_settings
from linkerd2_py.controlplane.local.place.place import AddressError
from linkerd2_py.controlplane.local.place.transparent.commands import Batch


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
