"""Builds the programs that judge the proxy (h2spec, gRPC's interop client and server) from what
tests/conformance/go.mod pins.

Each set of versions is built once, outside of the checkout; prints the folder that has the programs.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = Path(__file__).parent.parent / "conformance"
PROGRAMS = {
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec",
    "interop-client": "google.golang.org/grpc/interop/client",
    "interop-server": "google.golang.org/grpc/interop/server",
}


def folder() -> Path:
    """Where the programs of these versions are, built or not."""
    pinned = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "linkerd2-py" / "conformance" / hashlib.sha256(pinned).hexdigest()[:16]


def build(into: Path) -> None:
    """Whole or not at all: a program that is there is complete."""
    into.parent.mkdir(parents=True, exist_ok=True)
    # The Go that is installed must do; none is fetched.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    with tempfile.TemporaryDirectory(dir=into.parent) as place:
        for name, package in PROGRAMS.items():
            command = ["go", "build", "-o", f"{place}/{name}", package]
            subprocess.run(command, cwd=MODULE, env=environment, check=True)
        into.mkdir(exist_ok=True)
        for name in PROGRAMS:
            Path(place, name).replace(into / name)


def main() -> int:
    """Builds what is missing."""
    programs = folder()
    if not all((programs / name).exists() for name in PROGRAMS):
        build(programs)
    print(programs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
