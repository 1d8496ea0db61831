"""How many streams one proxy may hold, so that one that leaks them cannot starve the others."""

from collections import Counter

# A proxy holds two streams a target; a thousand targets are more than any workload calls.
STREAMS_PER_PROXY = 2_000
# Over all proxies: bounds memory (about 20 KB a stream) whatever the number of connections.
STREAMS_IN_ALL = 20_000
# One for each proxy, and some for proxies that reconnect.
CONNECTIONS_IN_ALL = 4_096


class TooManyStreamsError(Exception):
    """The proxy holds as many streams as it may."""


class StreamLimiter:
    """Counts open streams by connection: a proxy multiplexes all of its streams on one."""

    def __init__(self, *, limit: int = STREAMS_PER_PROXY) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    @property
    def peers(self) -> int:
        """How many connections hold a stream."""
        return len(self._open)

    def take(self, peer: str) -> None:
        """Hold one stream more of `peer`; raises `TooManyStreamsError` when it is one too many."""
        if self._open[peer] >= self._limit:
            raise TooManyStreamsError(f"a proxy may hold {self._limit} streams")
        self._open[peer] += 1

    def give_back(self, peer: str) -> None:
        """One that was taken."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]
