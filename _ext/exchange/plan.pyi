from collections.abc import Iterable

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.observe import Observer
from linkerd2_py._ext.exchange.redirect import Redirect
from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.metrics.http import HttpMetrics
from linkerd2_py._ext.metrics.routes import RouteMetrics

class ResponseClasses:
    """What responses count as by their status: failures those of `failures`, successes the others of `told`;
    both are sets of statuses, bit N for the status N. What is in neither counts as usual."""

    def __init__(self, *, told: int, failures: int) -> None: ...

class Refusal:
    """What is answered in an endpoint's place: `status` to `share` of `of` requests, drawn for each, and to
    the rest `redirect`; where that is given, there may be no status, and none fails. Calls of gRPC get
    `code`; -1: the one that is like the status. ValueError for a status that no final response has."""

    @property
    def status(self) -> int: ...
    @property
    def text(self) -> bytes: ...
    @property
    def code(self) -> int: ...
    @property
    def share(self) -> int: ...
    @property
    def of(self) -> int: ...
    @property
    def redirect(self) -> Redirect | None: ...
    def __init__(
        self,
        status: int = 0,
        text: str = "",
        *,
        code: int = -1,
        share: int = 1,
        of: int = 1,
        redirect: Redirect | None = None,
    ) -> None: ...

class Ways:
    """Where the requests of a route may go; see `exchange.ways`."""

class Plan:
    """What the shell decided about the exchanges of one route. Immutable; TypeError for what is no
    observer."""

    @property
    def observers(self) -> tuple[Observer, ...]: ...
    @property
    def refusal(self) -> Refusal | None: ...
    @property
    def ways(self) -> Ways | None: ...
    @property
    def route(self) -> RouteMetrics | None: ...
    @property
    def timeouts(self) -> Timeouts | None: ...
    @property
    def retry(self) -> Retry | None: ...
    @property
    def heeds_headers(self) -> bool: ...
    @property
    def classes(self) -> ResponseClasses | None: ...
    @property
    def labels(self) -> tuple[tuple[str, str], ...] | None:
        """Of its route, for whoever looks on; None: it is of none."""
    def __init__(
        self,
        *,
        observers: Iterable[Observer] = (),
        metrics: HttpMetrics | None = None,
        classes: ResponseClasses | None = None,
        labels: tuple[tuple[str, str], ...] | None = None,
        pending: bool = False,
        refusal: Refusal | None = None,
        ways: Ways | None = None,
        route: RouteMetrics | None = None,
        request_edits: Edits | None = None,
        response_edits: Edits | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        heeds_headers: bool = False,
        actual: HttpMetrics | None = None,
    ) -> None:
        """`pending`: nothing is decided yet, and requests wait for the profile of their target. `refusal`:
        they go no further. `ways`: where they go; None: to their target. `heeds_headers`: they may say of
        themselves how long they may take and when they are sent again. `actual`: what was sent for the route,
        where requests may be sent again."""
