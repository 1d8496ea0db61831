from collections.abc import Iterable

from linkerd2_py._ext.metrics.routes import RetryMetrics

class Budget:
    """Retries that requests of a service have earned, as Linkerd's profiles say it: a share `ratio` of those
    of the last `ttl_ns` (1 to 60 s) that needed none, and `least` each second whatever comes. ValueError for
    what Linkerd's proxy does not accept."""

    @property
    def ratio(self) -> float: ...
    @property
    def least(self) -> int: ...
    @property
    def ttl_ns(self) -> int: ...
    def __init__(self, *, ratio: float, least: int, ttl_ns: int) -> None: ...

class Retry:
    """When requests of a route are sent again: `limit` times, when a response has one of `statuses` (ranges,
    both ends included) or of gRPC's `codes`, or none comes within `timeout_ns` (0: no limit), after a pause
    that is doubled each time, and longer by a share up to `jitter`. Bodies of more than `most_bytes` are not
    kept for it, nor of more than 64 KiB. ValueError for what Linkerd's proxy does not accept."""

    @property
    def limit(self) -> int: ...
    @property
    def timeout_ns(self) -> int: ...
    @property
    def most_bytes(self) -> int: ...
    @property
    def pause_ns(self) -> int: ...
    @property
    def longest_pause_ns(self) -> int: ...
    @property
    def jitter(self) -> float: ...
    @property
    def budget(self) -> Budget | None: ...
    @property
    def metrics(self) -> RetryMetrics | None: ...
    def __init__(
        self,
        *,
        statuses: Iterable[tuple[int, int]] = (),
        codes: Iterable[int] = (),
        limit: int = 1,
        timeout_ns: int = 0,
        most_bytes: int = 65536,
        pause_ns: int = 0,
        longest_pause_ns: int = 0,
        jitter: float = 0.0,
        budget: Budget | None = None,
        metrics: RetryMetrics | None = None,
    ) -> None: ...
