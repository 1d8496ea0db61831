from collections.abc import Callable

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.exchange.seats import Seating
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py._ext.policy.rate import Limit
from linkerd2_py._ext.policy.rules import Rules

class Client:
    """Who is at the other end of a connection: its identity, where that was proven, and whether the
    connection is TLS that we terminate."""

    @property
    def identity(self) -> str | None: ...
    @property
    def secured(self) -> bool: ...
    @property
    def labels(self) -> tuple[tuple[str, str], ...]: ...

class Permission:
    """An answer of policy to one client on one port.

    Requests are of the route of the first of `rules` that holds: `routes` has the number of that route
    for each rule, and `passage` says what follows for this client, asked once for each route. Where none
    holds, `otherwise` (unless given, all are let in). `doubtful` is of those whose path a server could
    take for another, with dots or encoded slashes: given where routes differ in whom they let in. What is
    let in must keep all of `limits`; beyond one it is answered with 429. `seating`: how many of them may
    be in flight.

    `refuses_opaque`: what is no HTTP is not let in; unless given, where no request can be. `server` are
    labels for the series of its connections. `connections` counts the opaque connections it was given
    for; `on_terminated` is called for each of those that were let in at first and end under it."""

    def __init__(
        self,
        *,
        otherwise: Passage | None = None,
        rules: Rules | None = None,
        routes: tuple[int, ...] = (),
        passage: Callable[[int], Passage] | None = None,
        doubtful: Passage | None = None,
        limits: tuple[Limit, ...] = (),
        seating: Seating | None = None,
        refuses_opaque: bool | None = None,
        server: tuple[tuple[str, str], ...] = (),
        connections: Counter | None = None,
        on_terminated: Callable[[], object] | None = None,
    ) -> None: ...
