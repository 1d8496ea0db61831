from collections.abc import Callable

from linkerd2_py._ext.metrics.series import Counter

class Client:
    """Who is at the other end of a connection: its identity, where that was proven, and whether the
    connection is TLS that we terminate."""

    @property
    def identity(self) -> str | None: ...
    @property
    def secured(self) -> bool: ...
    @property
    def labels(self) -> tuple[tuple[str, str], ...]: ...

class OpenPath:
    """Requests of which policy says more than of the others: those for `path`, with `below` also for what
    lies below it; `method` None: with every method. `labels` are for their series, instead of those of the
    permission."""

    def __init__(
        self,
        path: bytes,
        *,
        method: bytes | None = None,
        below: bool = False,
        requests: Counter | None = None,
        labels: tuple[tuple[str, str], ...] = (),
    ) -> None: ...

class Permission:
    """An answer of policy. `refusal`: why the client is not let in, None lets it in; `status` goes with it,
    and `paths` are let in all the same; without a refusal they are counted apart. `refuses_opaque`: what is
    no HTTP is not let in; unless given, where there is a refusal. `server` are labels for the series of its
    connections and of its requests, `labels` more for the latter. The counters count the requests and the
    opaque connections it was given for; `on_terminated` is called for each of those connections that were let
    in at first and end under it."""

    def __init__(
        self,
        *,
        refusal: str | None = None,
        status: int = 403,
        paths: tuple[OpenPath, ...] = (),
        refuses_opaque: bool | None = None,
        server: tuple[tuple[str, str], ...] = (),
        labels: tuple[tuple[str, str], ...] = (),
        requests: Counter | None = None,
        connections: Counter | None = None,
        on_terminated: Callable[[], object] | None = None,
    ) -> None: ...
