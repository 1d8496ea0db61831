"""The process that compiles: `[[path, length], ...]` and sources come in, `[length, ...]` and modules go
out."""

import importlib.util
import json
import marshal
import struct
import sys

UNCHECKED = 0b01


def compiled(path: str, source: bytes) -> bytes:
    """A module that is never checked against its source (PEP 552)."""
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    flags = struct.pack("<I", UNCHECKED)
    return (
        importlib.util.MAGIC_NUMBER
        + flags
        + importlib.util.source_hash(source)
        + marshal.dumps(code)
    )


def main() -> None:
    """Until everything that was asked for is written."""
    asked = sys.stdin.buffer
    modules = [compiled(path, asked.read(length)) for path, length in json.loads(asked.readline())]
    out = sys.stdout.buffer
    out.write(json.dumps([len(module) for module in modules]).encode() + b"\n")
    out.writelines(modules)


if __name__ == "__main__":
    main()
