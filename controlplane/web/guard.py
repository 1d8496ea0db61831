"""Who is answered, and what a browser may do with the answer.

A page of a stranger's can make a browser ask us anything. It can ask under a name of its own that it made
lead here, which the list of hosts refuses; it can open a WebSocket, which browsers let every page do, and
which is refused by its origin; and it can put us into a frame, which the policy refuses. No cookie is ever
set, so that a request has no power by where it is sent from.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS: Final = r"^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$"
"""Those of a dashboard that is reached at this machine."""
SHOWN: Final = 80
_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
POLICY: Final = "; ".join(f"{name} {sources}" for name, sources in _SOURCES.items())
HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Before an application: answers only under hosts that match `hosts` (all, where it is empty), and only
    WebSockets of our own page.
    """

    def __init__(self, app: ASGIApp, *, hosts: str) -> None:
        self._app = app
        self._hosts = re.compile(hosts) if hosts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if not reason:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Before it is accepted: the client reads 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:100]})
        else:
            answer = JSONResponse({"error": reason}, status_code=403)
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts and not self._hosts.search(host):
            return f"not answered under the name {host[:SHOWN]!r}: see --enforced-host"
        origin = headers.get("origin", "")
        if scope["type"] == "websocket" and urlsplit(origin).netloc != host:
            return f"a page of {origin[:SHOWN]!r} may not watch calls"
        return ""


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sent
