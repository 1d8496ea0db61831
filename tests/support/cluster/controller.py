"""Processes of the control plane, started as in a pod, with a kubeconfig instead of an account."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Self

import httpx2

from tests.support.processes import Child
from tests.support.wait import eventually

PROGRAM: Final = (sys.executable, "-m", "linkerd2_py.cli.main", "controller")
START_S: Final = 30.0


class Controller:
    """`controller NAME`, on free ports unless `port` is given, where its flag `addr` says; ended by `stop`, or
    with the block.
    """

    def __init__(
        self, name: str, *words: str | Path, folder: Path, port: int = 0, addr: str = "--addr"
    ) -> None:
        listen = (addr, f"127.0.0.1:{port}", "--admin-addr", "127.0.0.1:0")
        log = folder / f"{name}-{len(list(folder.glob(f'{name}-*')))}.log"
        self.child = Child.start([*PROGRAM, name, *listen, *words], log=log)
        found = self.child.wait_for_line(r"admin listens on (\S+)", deadline_s=START_S)
        self.admin = found.group(1)

    @property
    def address(self) -> str:
        """Where proxies ask, or people."""
        found = self.child.wait_for_line(
            r"(?:proxy|public)-api listens on (\S+)", deadline_s=START_S
        )
        return found.group(1)

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of an answer of its admin server."""
        answer = httpx2.get(f"http://{self.admin}{path}", trust_env=False, timeout=START_S)
        return answer.status_code, answer.text

    def wait_ready(self) -> None:
        eventually(
            lambda: self.ask("/ready")[0] == 200, deadline_s=START_S, what=f"{self.child} is ready"
        )

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return self.child.terminate(deadline_s=START_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.child.kill()
