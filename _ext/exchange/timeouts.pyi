class Timeouts:
    """How long exchanges of a route may take; ns, 0: no limit. From the head of a request, with all tries:
    `request_ns` to the end of its response, `head_ns` to its head. `response_ns`: from the end of a request
    to the end of its response; `idle_ns`: between two pieces of a message, in either direction. ValueError
    below 0."""

    @property
    def request_ns(self) -> int: ...
    @property
    def head_ns(self) -> int: ...
    @property
    def response_ns(self) -> int: ...
    @property
    def idle_ns(self) -> int: ...
    def __init__(
        self, *, request_ns: int = 0, head_ns: int = 0, response_ns: int = 0, idle_ns: int = 0
    ) -> None: ...
