from linkerd2_py._ext.exchange.new_path import NewPath

STATUSES: frozenset[int]
"""Of redirects."""

class Redirect:
    """Where a client is told to ask instead; what is not said stays as it asked for it. Without a `port` it
    is that of `scheme`, where one is said. ValueError for another status than one of STATUSES, and for what
    is no scheme, host or port."""

    @property
    def status(self) -> int: ...
    @property
    def scheme(self) -> bytes: ...
    @property
    def host(self) -> bytes: ...
    @property
    def port(self) -> int: ...
    @property
    def path(self) -> NewPath | None: ...
    def __init__(
        self,
        status: int,
        *,
        scheme: bytes = b"",
        host: bytes = b"",
        port: int = 0,
        path: NewPath | None = None,
    ) -> None: ...
