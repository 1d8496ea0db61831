"""Terminal colours as plain functions; does nothing when not enabled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paint:
    """Wraps text in colour codes, or leaves it as it is."""

    enabled: bool = False

    def green(self, text: str) -> str:
        return self._wrap(text, code="32")

    def yellow(self, text: str) -> str:
        return self._wrap(text, code="33")

    def red(self, text: str) -> str:
        return self._wrap(text, code="31")

    def bold(self, text: str) -> str:
        return self._wrap(text, code="1")

    def _wrap(self, text: str, *, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled else text


PLAIN = Paint()
