"""Answers as JSON, written in slices: ten thousand rows in one go would hold up every stream of the control
plane.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from linkerd2_py.base.slices import in_slices

# Entries of a long list that are written in one step.
BATCH = 50
_write: Callable[[object], str] = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_Piece = tuple[Callable[[Any], str], object]


async def encode(answer: object) -> bytes:
    """As `json` writes it in one go; ValueError for a number that JSON has not."""
    return "".join([write(piece) async for write, piece in in_slices(_pieces(answer))]).encode()


def _pieces(value: object) -> Iterator[_Piece]:
    """What is to be written one after the other, each with how: large things are taken apart."""
    if isinstance(value, dict):
        yield from _of_mapping(value)
    elif isinstance(value, list):
        yield from _of_list(value)
    else:
        yield _write, value


def _of_mapping(value: dict[object, object]) -> Iterator[_Piece]:
    yield str, "{"
    for at, (name, inside) in enumerate(value.items()):
        yield str, f"{',' if at else ''}{_write(name)}:"
        yield from _pieces(inside)
    yield str, "}"


def _of_list(value: list[object]) -> Iterator[_Piece]:
    yield str, "["
    is_long = len(value) > BATCH
    step = BATCH if is_long else 1
    for begin in range(0, len(value), step):
        if begin:
            yield str, ","
        if is_long:
            yield _entries, value[begin : begin + step]
        else:
            yield from _pieces(value[begin])
    yield str, "]"


def _entries(some: list[object]) -> str:
    return _write(some)[1:-1]
