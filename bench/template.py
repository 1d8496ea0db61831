"""Configuration files of peers: readable templates with `@name@` to be filled in.

A line that names `@host@` stands for each server: it is repeated with that server's `@host@`, `@port@` and
`@number@`. Nothing may remain unfilled.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError

TEMPLATES = Path(__file__).resolve().parent / "peers"
_NAME = re.compile(r"@(\w+)@")


def fill(text: str, *, servers: Sequence[str], **values: object) -> str:
    """The text with every name replaced."""
    lines = []
    for line in text.splitlines():
        lines += _each_server(line, servers=servers) if "@host@" in line else [line]
    return _NAME.sub(lambda found: _value(found[1], values), "\n".join(lines) + "\n")


def write(name: str, folder: Path, *, servers: Sequence[str], **values: object) -> Path:
    """The template `peers/NAME`, filled in, as a file in `folder`."""
    target = folder / name
    text = (TEMPLATES / name).read_text()
    target.write_text(fill(text, servers=servers, folder=folder, **values))
    return target


def filled(name: str, **values: object) -> str:
    """The template `peers/NAME`, filled in, as a part of another."""
    return fill((TEMPLATES / name).read_text(), servers=(), **values)


def _each_server(line: str, *, servers: Sequence[str]) -> list[str]:
    repeated = []
    for number, server in enumerate(servers):
        host, _, port = server.rpartition(":")
        filled = line.replace("@host@", host).replace("@port@", port)
        repeated.append(filled.replace("@number@", str(number)))
    return repeated


def _value(name: str, values: dict[str, object]) -> str:
    if name not in values:
        raise BenchError(f"a template names @{name}@, and nobody gives it a value")
    return str(values[name])
