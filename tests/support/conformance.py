"""Programs that judge the proxy, where `./mesh test` has built them (`conformance_programs`)."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.conformance_programs import PROGRAMS, folder
from tests.support.wait import in_time


def needs_conformance() -> pytest.MarkDecorator:
    missing = [name for name in PROGRAMS if not (folder() / name).exists()]
    return pytest.mark.skipif(
        bool(missing), reason="not built: python -m tests.support.conformance_programs"
    )


def program(name: str) -> Path:
    return folder() / name


def plain_environment() -> dict[str, str]:
    """Ours without what a sanitized run preloads: that is meant for Python alone."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


async def output_of(name: str, *arguments: str, deadline_s: float) -> tuple[int, str]:
    """Exit status and all that the program prints; it is ended when it takes longer."""
    running = await asyncio.create_subprocess_exec(
        program(name),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=plain_environment(),
    )
    try:
        printed, _ = await in_time(running.communicate(), deadline_s)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    return running.returncode or 0, printed.decode()
