"""The C programs, compiled into `build/bench` when a source is newer than the program."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "bench" / "native"
PROGRAMS = ROOT / "build" / "bench"
_LIBRARIES = {
    "load": ["-lnghttp2", "-lssl", "-lcrypto", "-lm"],
    "origin": ["-lnghttp2"],
    "relay": [],
    "floor": [],
}
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
# What the compiler may find missing, and the Debian package that has it.
_HEADERS = {
    "nghttp2/nghttp2.h": "libnghttp2-dev",
    "openssl/err.h": "libssl-dev",
    "stdio.h": "libc6-dev",
}


def program(name: str) -> Path:
    """The compiled program `name`, made up to date first. BenchError says what is missing."""
    target = PROGRAMS / name
    units = units_of(name)
    if not units:
        raise BenchError(f"bench/native/{name}.c does not exist")
    if is_stale(target, [*units, *SOURCES.glob("*.h")]):
        _compile(target, units=units, libraries=_LIBRARIES[name])
    return target


def units_of(name: str) -> list[Path]:
    """`NAME.c` with its `NAME_*.c`."""
    return [*SOURCES.glob(f"{name}.c"), *sorted(SOURCES.glob(f"{name}_*.c"))]


def is_stale(target: Path, sources: Sequence[Path]) -> bool:
    """Whether it does not exist, or is older than a source."""
    if not target.exists():
        return True
    built = target.stat().st_mtime_ns
    return any(source.stat().st_mtime_ns > built for source in sources)


def _compile(target: Path, *, units: Sequence[Path], libraries: Sequence[str]) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError("there is no C compiler: install the Debian package gcc")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside it first: another run may be executing the old program.
    fresh = target.with_suffix(".new")
    words = [compiler, *_FLAGS, "-o", str(fresh), *map(str, units), *libraries]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(reason(target.name, done.stderr))
    fresh.replace(target)


def reason(name: str, complaint: str) -> str:
    """Why a program did not compile, in one line."""
    for header, package in _HEADERS.items():
        if f"{header}: No such file" in complaint:
            return (
                f"cannot compile {name}: {header} is missing: install the Debian package {package}"
            )
    lines = [line for line in complaint.splitlines() if "error" in line] or complaint.splitlines()
    return f"cannot compile {name}: {lines[0] if lines else 'the compiler did not say why'}"
