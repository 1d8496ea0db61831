"""JSON as API servers send it.

Users' objects may be nested more deeply than Python reads, for some kinds are kept whatever is in them. Such
a one must not take along the list that it is in.
"""

from __future__ import annotations

import json
import re
from typing import Final

DEEPEST: Final = 100
"""Far deeper than any field that is asked for."""
_MARK: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def parse(body: bytes) -> object:
    """What it says, with null instead of what is too deep for anybody. Raises ValueError."""
    try:
        return json.loads(body)
    except RecursionError:
        return json.loads(_shallow(body))


def _shallow(body: bytes) -> bytes:
    kept, depth, begin = bytearray(), 0, 0
    for found in _MARK.finditer(body):
        if found[0] in {b"[", b"{"}:
            depth += 1
            if depth == DEEPEST + 1:
                kept += body[begin : found.start()] + b"null"
        elif found[0] in {b"]", b"}"}:
            depth -= 1
            if depth == DEEPEST:
                begin = found.end()
    # Of what ends within, only the outside is left, which is no JSON.
    return bytes(kept) + (body[begin:] if depth <= DEEPEST else b"")
