"""Questions that get no stream, in the words of Linkerd's policy controller."""

from __future__ import annotations

from typing import Literal

Reason = Literal["invalid", "not found"]


class RefusedError(Exception):
    """What is asked for makes no sense, or is not there."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
