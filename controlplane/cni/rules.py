"""`proxy-init` in a pod's network namespace: in a process of its own, for a process that enters a namespace
should not come back from there."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from linkerd2_py.controlplane.cni.decision import Words
from linkerd2_py.controlplane.cni.question import CniError, Code

LIMIT_S: Final = 60.0
_AT_ONCE: Final = 4
"""A node that has just started asks for all its pods at the same time."""
_USAGE: Final = 64
_PROGRAM: Final = (sys.executable, "-m", "linkerd2_py.proxy.pod.init")


class Rules:
    """Writes them, and looks whether they are there."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def write(self, words: Words, *, namespace: int) -> None:
        """All of them, whatever was there before. Raises `CniError`, with everything as it was."""
        await self._run(words, namespace=namespace, more=())

    async def check(self, words: Words, *, namespace: int) -> None:
        """Raises `CniError` where some are missing."""
        await self._run(words, namespace=namespace, more=("--check",))

    async def _run(self, words: Words, *, namespace: int, more: tuple[str, ...]) -> None:
        # The descriptor has the same number there, and the link leads to the namespace itself.
        arguments = (*words.arguments, f"--netns=/proc/self/fd/{namespace}", *more)
        async with self._free:
            program = await asyncio.create_subprocess_exec(
                *_PROGRAM,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(namespace,),
            )
            try:
                async with asyncio.timeout(LIMIT_S):
                    _, said = await program.communicate()
            except TimeoutError as error:
                raise CniError(Code.TRY_AGAIN, f"proxy-init took {LIMIT_S:.0f} s") from error
            finally:
                if program.returncode is None:
                    program.kill()
                    await program.wait()
        if program.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"proxy-init ended with status {program.returncode}"
            code = Code.REFUSED if program.returncode == _USAGE else Code.NO_RULES
            raise CniError(code, words.blamed(last.removeprefix("linkerd2-py proxy-init: ")))
