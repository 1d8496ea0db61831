"""Regular expressions of one profile or policy: each is compiled once, and all together are bounded."""

from __future__ import annotations

from typing import Final

from linkerd2_py._ext.policy.regex import Regex

_SIZE_MAX: Final = 4 << 20
"""Bytes of their tables."""


class Patterns:
    """Those that are known already."""

    def __init__(self) -> None:
        self._known: dict[str, Regex] = {}
        self._size = 0

    def compiled(self, pattern: str) -> Regex:
        """ValueError for one that is not supported, or one too many."""
        found = self._known.get(pattern)
        if found is None:
            found = Regex(pattern.encode())
            self._size += found.size
            if self._size > _SIZE_MAX:
                raise ValueError("the patterns are too large together")
            self._known[pattern] = found
        return found
