class RegexError(ValueError):
    """The pattern is wrong, not supported, or would make too large a table."""

class Regex:
    """Matches whole texts, in time that grows with their length alone; `exact`: the only text that it
    matches, where that is one."""

    def __init__(self, pattern: bytes) -> None: ...
    @property
    def pattern(self) -> bytes: ...
    @property
    def exact(self) -> bytes | None: ...
    @property
    def size(self) -> int: ...
    @property
    def prefix(self) -> bytes:
        """What all texts that it matches begin with."""
    def matches(self, text: bytes) -> bool: ...
