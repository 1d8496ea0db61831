class NewPath:
    """A path in the place of a request's: of all of it, or of its first `cut` bytes, which some condition has
    found to be whole segments; then the slash at its end does not count. The query stays, unless a whole
    path brings its own. ValueError for what is no path, and for a query in the place of a beginning."""

    @property
    def text(self) -> bytes: ...
    @property
    def cut(self) -> int: ...
    def __init__(self, text: bytes, *, cut: int = -1) -> None: ...
