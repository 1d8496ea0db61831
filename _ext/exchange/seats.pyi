from collections.abc import Iterable

from linkerd2_py._ext.metrics.series import Counter

class Seats:
    """Of requests in flight, counted together."""

    @property
    def taken(self) -> int: ...

class SeatLimit:
    """At most `most` of `seats` are taken: beyond it requests are answered `refusal` with `status`, and
    counted by `refused`. ValueError for a limit that lets nothing in."""

    def __init__(
        self,
        seats: Seats,
        most: int,
        *,
        refusal: str,
        status: int = 503,
        refused: Counter | None = None,
    ) -> None: ...

class Seating:
    """Limits that hold together: a request has a seat of each, or of none."""

    def __init__(self, limits: Iterable[SeatLimit]) -> None: ...
