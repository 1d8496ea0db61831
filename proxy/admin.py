"""The admin server: metrics, health, log level, shutdown, where we listen, and what we were told.

Paths and statuses are Linkerd's; `/listeners` and `/endpoints.json` are ours. What changes the proxy is
for clients on loopback only, with a token where one was set, and shutting down has to be switched on. It
answers to addresses and to its own names only (see `base.hosts`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from linkerd2_py.base.hosts import is_answered
from linkerd2_py.base.logs import FilterError
from linkerd2_py.proxy.addresses import is_loopback
from linkerd2_py.proxy.log_level import LogLevel

Fields = tuple[tuple[bytes, bytes], ...]

_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_JSON: Final = (b"content-type", b"application/json")
_METRICS: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_FILTER_MAX: Final = 4096
_BEARER: Final = b"bearer "
_CHALLENGE: Final = (b"www-authenticate", b"Bearer")


class _Peer(Protocol):
    @property
    def host(self) -> str: ...


class AdminRequest(Protocol):
    """What the engine's request gives and takes."""

    method: bytes
    path: bytes
    authority: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def peer(self) -> _Peer: ...
    @property
    def body(self) -> bytes: ...
    def respond(
        self, status: int, headers: Fields = ..., body: bytes | Iterator[bytes] = ...
    ) -> None: ...


class Response(NamedTuple):
    """A response; `body` is bytes or slices that are pulled as the client reads."""

    status: int
    fields: Fields
    body: bytes | Iterator[bytes]


Route = Callable[[AdminRequest], Response]


class Admission(NamedTuple):
    """The names that are answered to beside addresses, and the file with the token that changes need
    (empty: none).
    """

    hosts: Collection[str] = ()
    token_file: str = ""

    def may_ask(self, request: AdminRequest) -> bool:
        """Whether the request is for us."""
        return is_answered(request.authority.decode("latin-1"), names=self.hosts)

    def may_change(self, request: AdminRequest) -> bool:
        """Whether the client is on loopback and shows the token. The file is read each time, so it may be
        replaced.
        """
        if not is_loopback(request.peer.host):
            return False
        return not self.token_file or self._shows_token(request)

    def _shows_token(self, request: AdminRequest) -> bool:
        from hmac import compare_digest  # noqa: PLC0415  # 0.5 MiB that few proxies need

        try:
            with open(self.token_file, "rb") as file:  # noqa: PTH123  # pathlib is 1.5 MiB
                wanted = file.read().strip()
        except OSError:
            return False
        given = next((v for name, v in request.headers if name == b"authorization"), b"")
        shown = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else b""
        return bool(wanted) and compare_digest(shown, wanted)


def own_names() -> frozenset[str]:
    """What this pod is called."""
    return frozenset({socket.gethostname().lower()})


class Admin:
    """Answers requests. `ready` is asked each time; `shut_down` is called at most by clients that may
    change us.
    """

    def __init__(
        self,
        *,
        render: Callable[[], Iterator[bytes]],
        endpoints: Callable[[], Iterator[bytes]],
        ready: Callable[[], bool],
        listeners: Callable[[], Mapping[str, Any]],
        environment: Callable[[], Mapping[str, str]],
        log_level: LogLevel,
        shut_down: Callable[[], None] | None,
        admission: Admission,
    ) -> None:
        self._render = render
        self._endpoints = endpoints
        self._ready = ready
        self._listeners = listeners
        self._environment = environment
        self._log_level = log_level
        self._shut_down = shut_down
        self._admission = admission
        self._routes: Mapping[bytes, Mapping[bytes, Route]] = {
            b"/metrics": {b"GET": self._metrics},
            b"/ready": {b"GET": self._readiness},
            b"/live": {b"GET": lambda _: _text(200, "live\n")},
            b"/endpoints.json": {b"GET": lambda _: Response(200, (_JSON,), self._endpoints())},
            b"/listeners": {b"GET": self._list},
            b"/env.json": {b"GET": self._tell_environment},
            b"/proxy-log-level": {b"GET": self._level, b"PUT": self._set_level},
            b"/shutdown": {b"POST": self._shutdown} if shut_down is not None else {},
        }

    def on_request(self, request: AdminRequest) -> None:
        """Response one request; nothing a client sends makes this raise."""
        response = self._response(request)
        request.respond(response.status, response.fields, response.body)

    def _response(self, request: AdminRequest) -> Response:
        if not self._admission.may_ask(request):
            return _text(403, "not answered under this name: ask by address, or set ADMIN_HOSTS\n")
        methods = self._routes.get(request.path.partition(b"?")[0])
        if not methods:
            return _text(404, "not found\n")
        method = b"GET" if request.method == b"HEAD" else request.method
        route = methods.get(method)
        if route is None:
            allowed = [*methods, b"HEAD"] if b"GET" in methods else list(methods)
            return _text(405, "method not allowed\n", (b"allow", b", ".join(allowed)))
        return route(request)

    def _metrics(self, _: AdminRequest) -> Response:
        return Response(200, (_METRICS,), self._render())

    def _readiness(self, _: AdminRequest) -> Response:
        return _text(200, "ready\n") if self._ready() else _text(503, "not ready\n")

    def _list(self, _: AdminRequest) -> Response:
        import json  # noqa: PLC0415  # 0.1 MiB that few proxies need

        return Response(200, (_JSON,), json.dumps(self._listeners()).encode() + b"\n")

    def _tell_environment(self, request: AdminRequest) -> Response:
        """All variables, or those that the query names, with null for one that is not set."""
        import json  # noqa: PLC0415  # as above

        query = request.path.partition(b"?")[2].decode("latin-1")
        if "=" in query:
            error = "env.json takes names of variables only: /env.json?NAME&NAME"
            return Response(400, (_JSON,), json.dumps({"error": error, "status": 400}).encode())
        found = self._environment()
        asked = {name: found.get(name) for name in query.split("&")} if query else found
        return Response(200, (_JSON,), json.dumps(asked).encode() + b"\n")

    def _level(self, request: AdminRequest) -> Response:
        if not is_loopback(request.peer.host):
            return _forbidden()
        return _text(200, f"{self._log_level.text}\n")

    def _set_level(self, request: AdminRequest) -> Response:
        if not self._admission.may_change(request):
            return self._not_to_change(request)
        body = request.body
        if len(body) > _FILTER_MAX:
            return _text(413, "the log filter is too long\n")
        try:
            self._log_level.change(body.decode("utf-8").strip())
        except (FilterError, UnicodeDecodeError) as error:
            return _text(400, f"{error}\n")
        return Response(204, (), b"")

    def _shutdown(self, request: AdminRequest) -> Response:
        if not self._admission.may_change(request):
            return self._not_to_change(request)
        if self._shut_down is not None:
            self._shut_down()
        return _text(200, "shutdown\n")

    def _not_to_change(self, request: AdminRequest) -> Response:
        if not is_loopback(request.peer.host):
            return _forbidden()
        file = self._admission.token_file
        return _text(401, f"say authorization: Bearer, and what is in {file}\n", _CHALLENGE)


def _text(status: int, text: str, *fields: tuple[bytes, bytes]) -> Response:
    return Response(status, (_TEXT, *fields), text.encode())


def _forbidden() -> Response:
    return _text(403, "only clients on loopback may do that\n")
