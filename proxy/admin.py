"""The admin server: metrics, health, log level, shutdown, and where we listen.

Paths and statuses are Linkerd's; `/listeners` is ours. What changes the proxy is for clients on loopback
only, and shutting down has to be switched on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from linkerd2_py.base.logs import FilterError
from linkerd2_py.proxy.addresses import is_loopback
from linkerd2_py.proxy.log_level import LogLevel

Fields = tuple[tuple[bytes, bytes], ...]

_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Final = (b"content-type", b"application/json")
_METRICS: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_FILTER_MAX: Final = 4096


class _Peer(Protocol):
    @property
    def host(self) -> str: ...


class AdminRequest(Protocol):
    """What the engine's request gives and takes."""

    method: bytes
    path: bytes

    @property
    def peer(self) -> _Peer: ...
    @property
    def body(self) -> bytes: ...
    def respond(
        self, status: int, headers: Fields = ..., body: bytes | Iterator[bytes] = ...
    ) -> None: ...


class Answer(NamedTuple):
    """A response; `body` is bytes or slices that are pulled as the client reads."""

    status: int
    fields: Fields
    body: bytes | Iterator[bytes]


Route = Callable[[AdminRequest], Answer]


class Admin:
    """Answers requests. `ready` is asked each time; `shut_down` is called at most by loopback clients."""

    def __init__(
        self,
        *,
        render: Callable[[], Iterator[bytes]],
        ready: Callable[[], bool],
        listeners: Callable[[], Mapping[str, Any]],
        log_level: LogLevel,
        shut_down: Callable[[], None] | None,
    ) -> None:
        self._render = render
        self._ready = ready
        self._listeners = listeners
        self._log_level = log_level
        self._shut_down = shut_down
        self._routes: Mapping[bytes, Mapping[bytes, Route]] = {
            b"/metrics": {b"GET": self._metrics},
            b"/ready": {b"GET": self._readiness},
            b"/live": {b"GET": lambda _: _text(200, "live\n")},
            b"/listeners": {b"GET": self._list},
            b"/proxy-log-level": {b"GET": self._level, b"PUT": self._set_level},
            b"/shutdown": {b"POST": self._shutdown} if shut_down is not None else {},
        }

    def on_request(self, request: AdminRequest) -> None:
        """Answer one request; nothing a client sends makes this raise."""
        answer = self._answer(request)
        request.respond(answer.status, answer.fields, answer.body)

    def _answer(self, request: AdminRequest) -> Answer:
        methods = self._routes.get(request.path.partition(b"?")[0])
        if not methods:
            return _text(404, "not found\n")
        method = b"GET" if request.method == b"HEAD" else request.method
        route = methods.get(method)
        if route is None:
            allowed = [*methods, b"HEAD"] if b"GET" in methods else list(methods)
            return _text(405, "method not allowed\n", (b"allow", b", ".join(allowed)))
        return route(request)

    def _metrics(self, _: AdminRequest) -> Answer:
        return Answer(200, (_METRICS,), self._render())

    def _readiness(self, _: AdminRequest) -> Answer:
        return _text(200, "ready\n") if self._ready() else _text(503, "not ready\n")

    def _list(self, _: AdminRequest) -> Answer:
        import json  # noqa: PLC0415  # 0.1 MiB that few proxies need

        return Answer(200, (_JSON,), json.dumps(self._listeners()).encode() + b"\n")

    def _level(self, request: AdminRequest) -> Answer:
        if not is_loopback(request.peer.host):
            return _forbidden()
        return _text(200, f"{self._log_level.text}\n")

    def _set_level(self, request: AdminRequest) -> Answer:
        if not is_loopback(request.peer.host):
            return _forbidden()
        body = request.body
        if len(body) > _FILTER_MAX:
            return _text(413, "the log filter is too long\n")
        try:
            self._log_level.change(body.decode("utf-8").strip())
        except (FilterError, UnicodeDecodeError) as error:
            return _text(400, f"{error}\n")
        return Answer(204, (), b"")

    def _shutdown(self, request: AdminRequest) -> Answer:
        if not is_loopback(request.peer.host):
            return _forbidden()
        if self._shut_down is not None:
            self._shut_down()
        return _text(200, "shutdown\n")


def _text(status: int, text: str, *fields: tuple[bytes, bytes]) -> Answer:
    return Answer(status, (_TEXT, *fields), text.encode())


def _forbidden() -> Answer:
    return _text(403, "only clients on loopback may do that\n")
