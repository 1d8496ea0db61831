from linkerd2_py._ext.metrics.series import Counter

class Rate:
    """So many requests a second, evenly; after a quiet second that many at once. ValueError for none."""

    def __init__(self, per_second: int) -> None: ...

class Limit:
    """A rate as one client meets it: `refusal` is what is answered beyond it, and `refused` counts that."""

    def __init__(self, rate: Rate, *, refusal: str, refused: Counter | None = None) -> None: ...
