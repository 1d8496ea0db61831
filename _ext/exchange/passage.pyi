from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.gate import Gate
from linkerd2_py._ext.exchange.plan import Refusal
from linkerd2_py._ext.metrics.series import Counter

class Examiner:
    """Who looks at each request by itself."""

class Passage:
    """`refusal`: why requests of this route are not let in, None lets them in; `status` goes with it, and
    `mistrusts`: what they showed is no good. `examiner` says which passage each of these requests has in the
    place of this one.
    `instead`: what those are answered that are let in, before limits are looked at; `edits`: what is changed
    of those that go on, and `gate` holds them until somebody lets them in. `limited`: the limits on the
    port's requests hold for these. `labels` are for their series, `requests` counts them."""

    def __init__(
        self,
        *,
        refusal: str | None = None,
        status: int = 403,
        mistrusts: bool = False,
        examiner: Examiner | None = None,
        instead: Refusal | None = None,
        edits: Edits | None = None,
        gate: Gate | None = None,
        limited: bool = True,
        labels: tuple[tuple[str, str], ...] = (),
        requests: Counter | None = None,
    ) -> None: ...
