class Accrual:
    """When an endpoint fails so much that it is left alone: `max_failures` in a row, or less than `threshold`
    ten thousandths of at least `min_requests` in `window_ns` succeed (0 of either: off). For
    `min_backoff_ns`, twice as long each time that a single exchange fails then, `max_backoff_ns` at most, up
    to a share of `jitter` longer. `strict`: 429 is no success then. `heeds_hold`: for as long as it asks, if
    that is longer. At least `min_ready` endpoints, and always half of the set, stay. ValueError for what
    makes no sense."""

    max_failures: int
    threshold: int
    window_ns: int
    min_requests: int
    strict: bool
    min_backoff_ns: int
    max_backoff_ns: int
    jitter: float
    heeds_hold: bool
    min_ready: int
    def __init__(
        self,
        *,
        max_failures: int = 0,
        threshold: int = 0,
        window_ns: int = 10_000_000_000,
        min_requests: int = 0,
        strict: bool = False,
        min_backoff_ns: int,
        max_backoff_ns: int,
        jitter: float = 0.0,
        heeds_hold: bool = False,
        min_ready: int = 0,
    ) -> None: ...

class Breaker:
    """Of one endpoint."""

    accrual: Accrual
