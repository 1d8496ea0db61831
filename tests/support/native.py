"""The C programs of `bench/native`, compiled with sanitizers, and run."""

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import Child
from tests.support.wait import eventually, patience

_SOURCES = Path(__file__).parents[2] / "bench" / "native"
_FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]
_SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

Address = tuple[str, int]


def body(size: int) -> bytes:
    """What every body consists of: the same pattern that `body_byte` of bench.h makes."""
    return bytes(ord("a") + (at + at // 26) % 26 for at in range(size))


def compile_program(
    name: str, folder: Path, *, libraries: Sequence[str] = (), sanitized: bool = True
) -> Path:
    """The program of `NAME.c` and `NAME_*.c`, in `folder`; its warnings are errors."""
    program = folder / (name if sanitized else f"{name}-plain")
    flags = [*_FLAGS, *(_SANITIZERS if sanitized else [])]
    sources = [_SOURCES / f"{name}.c", *sorted(_SOURCES.glob(f"{name}_*.c"))]
    words: list[str | Path] = [
        "cc",
        *flags,
        "-o",
        program,
        *sources,
        *(f"-l{library}" for library in libraries),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def json_lines(child: Child) -> list[dict[str, Any]]:
    """The complete lines that it has printed."""
    *lines, _unfinished = child.output().split("\n")
    return [json.loads(line) for line in lines]


def next_line(child: Child, seen: int) -> dict[str, Any]:
    """Its line after the first `seen` ones, once it is there."""

    def look() -> list[dict[str, Any]]:
        ended = child.process.poll() is not None
        lines = json_lines(child)[seen:]
        assert lines or not ended, f"ended too early: {child}"
        return lines

    return eventually(look, what=f"line {seen} of {child}")[0]


def parsed(address: str) -> Address:
    host, _, port = address.rpartition(":")
    return host, int(port)


def end(child: Child) -> dict[str, Any]:
    """Ask it to end, check that it does so cleanly, and return its last line."""
    child.send(signal.SIGTERM)
    status = child.wait()
    assert status == 0, child
    return json_lines(child)[-1]


def refusal(program: Path, *arguments: str) -> str:
    """Run it with arguments that it refuses; its one line about that."""
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=10 * patience(), check=False
    )
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    return line
