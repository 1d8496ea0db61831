"""Questions that get no stream, in the words of Linkerd's destination."""

from typing import Literal, NamedTuple

Reason = Literal["invalid", "not found", "failed precondition", "unknown"]


class Refusal(NamedTuple):
    """Why there is no answer: what is asked for makes no sense, or is not there."""

    reason: Reason
    words: str


class RefusedError(Exception):
    """There is no answer."""

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
