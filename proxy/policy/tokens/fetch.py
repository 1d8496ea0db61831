"""A small document by HTTP or HTTPS, bounded in time and size, fetched by a process that ends
(`proxy/pod/fetch`).
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import suppress
from typing import Final

TIMEOUT_S: Final = 5.0
LARGEST: Final = 512 * 1024
_URL: Final = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[!-\"$-~]*)?"
)
_PROGRAM: Final = "linkerd2_py.proxy.pod.fetch"


class FetchError(Exception):
    """There is no document; the text says why."""


def check_url(url: str) -> None:
    """ValueError for what is no http or https URL, or has a user or a fragment in it."""
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found["port"] or 80) < 65536:
        raise ValueError("no URL of http or https")


async def fetch(url: str) -> bytes:
    """FetchError where it answers with anything but a document, in time."""
    try:
        check_url(url)
        async with asyncio.timeout(TIMEOUT_S):
            return await _output_of(url)
    except TimeoutError as error:
        raise FetchError(f"no answer within {TIMEOUT_S:g} s") from error
    except (OSError, ValueError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


async def _output_of(url: str) -> bytes:
    # -P: it imports nothing from the directory that the proxy happens to be started in.
    transport, output = await asyncio.get_running_loop().subprocess_exec(
        _Output, *(sys.executable, "-P", "-m", _PROGRAM, url), stdin=subprocess.DEVNULL
    )
    try:
        await output.ended.wait()
    finally:
        with suppress(ProcessLookupError):
            transport.kill()
        try:
            # Nobody reaps it for a loop that is closed.
            await output.ended.wait()
        finally:
            transport.close()
    if transport.get_returncode() != 0:
        said = output.of[2].decode("utf-8", "replace").splitlines()
        raise FetchError(said[-1][:200] if said else "the program that fetches it has failed")
    return bytes(output.of[1])


class _Output(asyncio.SubprocessProtocol):
    """What a program wrote, until it has ended and all is there."""

    def __init__(self) -> None:
        self.of = {1: bytearray(), 2: bytearray()}
        self.ended = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """So much of it as may be."""
        self.of[fd] += data[: LARGEST - len(self.of[fd])]

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and both pipes are closed."""
        self.ended.set()
