"""Steps that run quietly: a terminal sees how far a step is, a pipe its tick alone; what it wrote is in
build/log.

    step("engine", compile_in_place())

A step that fails shows the end of its log, and ends the run.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

LOGS = Path("build/log")
WATCH_S = 0.3
LAST_LINES = 30

# The progress of several translators may share a line.
_TRANSLATED = re.compile(r"\[ *(\d+)/(\d+)\] Cythonizing ")
_COMPILED = re.compile(r"^compiled (\d+ of \d+ modules):")


@dataclass(frozen=True, slots=True)
class Command:
    """Words to run, with what is added to our environment."""

    words: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self, sink: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.words, stdout=sink, stderr=subprocess.STDOUT, env={**os.environ, **self.env}
        )

    def __str__(self) -> str:
        return shlex.join(self.words)


def tick(text: str) -> None:
    print(_coloured("√", 32, sys.stdout.isatty()), text, flush=True)


def fail(text: str) -> NoReturn:
    """Say why, and end the run."""
    print(_coloured("×", 31, sys.stderr.isatty()), text, file=sys.stderr, flush=True)
    sys.exit(1)


def _coloured(sign: str, colour: int, terminal: bool) -> str:  # noqa: FBT001  # asked of two outputs
    return f"\033[{colour}m{sign}\033[0m" if terminal and not os.environ.get("NO_COLOR") else sign


def log_of(name: str) -> Path:
    """Where the words of a step are kept."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{re.sub(r'[^a-zA-Z0-9]', '-', name)}.log"


def step(name: str, *commands: Command) -> None:
    """Run them one after the other, up to the first that fails."""
    log = log_of(name)
    started = time.monotonic()
    with log.open("wb") as sink:
        succeeded = all(_run(command, sink, name) for command in commands)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    if not succeeded:
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        fail("\n".join([f"{name}; the end of {log.resolve()}:", *last]))
    tick(f"{name} ({time.monotonic() - started:.0f} s)")


def _run(command: Command, sink: BinaryIO, name: str) -> bool:
    with command.start(sink) as child:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return child.wait(WATCH_S) == 0
                if sys.stdout.isatty():
                    _show(name, Path(sink.name))
        except BaseException:
            child.terminate()
            raise


def _show(name: str, log: Path) -> None:
    print(f"\r\033[K… {name}{modules_in(log)} ({log})", end="", flush=True)


def modules_in(log: Path) -> str:
    """What the newest lines of a build's log say of its modules: `: 7 of 12 modules compiled`."""
    for line in reversed(log.read_text(errors="replace").splitlines()[-9:]):
        if compiled := _COMPILED.match(line):
            return f": {compiled[1]} compiled"
        if translated := _TRANSLATED.findall(line):
            return ": {} of {} modules translated".format(*translated[-1])
    return ""
