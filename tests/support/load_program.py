"""The load generator of the benchmarks, compiled and run, and the HTTP/1 server that most of
its tests ask.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.load_targets import Handler, read_request
from tests.support.wait import in_time, patience

NATIVE = Path(__file__).parents[2] / "bench" / "native"
DEADLINE_S = 30


def compile_load(folder: Path) -> Path:
    """From the sources of this checkout; CFLAGS may ask for a sanitizer."""
    binary = folder / "load"
    sources = [NATIVE / "load.c", *sorted(NATIVE.glob("load_*.c"))]
    warnings = ["-Wall", "-Wextra", "-Werror"]
    flags = ["-std=gnu11", "-O2", *warnings, *os.environ.get("CFLAGS", "").split()]
    libraries = ["-lnghttp2", "-lssl", "-lcrypto", "-lm"]
    argv = ["cc", *flags, "-o", binary, *sources, *libraries]
    subprocess.run([str(word) for word in argv], check=True, timeout=120 * patience())
    return binary


@asynccontextmanager
async def started(program: Path, *words: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        program,
        *(str(word) for word in words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def last_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The report of a run that ends by itself and has nothing to complain about."""
    output, complaint = await in_time(process.communicate(), DEADLINE_S)
    assert (process.returncode, complaint) == (0, b"")
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report


async def load(program: Path, protocol: str, target: str, *words: object) -> dict[str, Any]:
    """The report of a run without warm-up; by default it ends after 20 exchanges."""
    options = ["--protocol", protocol, "--target", target, "--warmup", 0, "--seconds", 20]
    if not {"--limit", "--seconds"} & set(words):
        options += ["--limit", 20]
    async with started(program, *options, *words) as process:
        return await last_line(process)


def http1(respond: Callable[[int], bytes], requests: list[bytes] | None = None) -> Handler:
    """A keep-alive server; `respond` gives the answer to the n-th request of all connections, from 0."""
    count = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            head, body = await read_request(reader)
            if requests is not None:
                requests.append(head + body)
            response = respond(count)
            count += 1
            writer.write(response)
            if response == b"" or b"\r\nConnection: close\r\n" in response:
                return
            await writer.drain()

    return handle
