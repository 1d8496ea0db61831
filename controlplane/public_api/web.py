"""The public API over HTTP: starlette routes made from the operations, every error as JSON of one line."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from linkerd2_py.base.hosts import is_answered
from linkerd2_py.controlplane.metrics.store import StoreError
from linkerd2_py.controlplane.public_api.encode import encode
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.openapi import document
from linkerd2_py.controlplane.public_api.operation import Operation

Handler = Callable[[HttpRequest], Awaitable[Response]]
ExceptionHandler = Callable[[HttpRequest, Exception], Awaitable[Response]]

logger = logging.getLogger(__name__)


def web_app(
    operations: Sequence[Operation[Any]],
    *,
    metrics: CollectorRegistry,
    further: Sequence[BaseRoute] = (),
) -> Starlette:
    """The application: the operations, their OpenAPI document, `further` routes, and the control plane's own
    metrics.
    """
    described = document(operations)

    async def openapi(_request: HttpRequest) -> Response:
        return JSONResponse(described)

    async def own_metrics(_request: HttpRequest) -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    routes = operation_routes(operations)
    routes.append(Route("/openapi.json", openapi))
    routes.append(Route("/metrics", own_metrics))
    return Starlette(
        routes=[*routes, *further],
        middleware=[Middleware(KnownHosts)],
        exception_handlers=exception_handlers(),
    )


def operation_routes(operations: Sequence[Operation[Any]]) -> list[Route]:
    """One for each operation, for whoever else serves them."""
    return [Route(operation.path, _handler(operation)) for operation in operations]


def exception_handlers() -> dict[type[Exception], ExceptionHandler]:
    """Every failure becomes JSON of one line."""
    return {
        InvalidQueryError: _on_invalid_query,
        StoreError: _on_store_error,
        HTTPException: _on_http_error,
        Exception: _on_failure,
    }


class KnownHosts:
    """Answers to addresses and to names that no stranger can make lead here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        if is_answered(host, names=()):
            await self._app(scope, receive, send)
        else:
            reason = f"not answered under the name {host[:80]!r}: ask by address, or as localhost"
            await _error(reason, status=403)(scope, receive, send)


def _handler(operation: Operation[Any]) -> Handler:
    async def run(request: HttpRequest) -> Response:
        answer = await operation.run(operation.declaration.read(request.query_params))
        return Response(await encode(answer), media_type="application/json")

    return run


async def _on_invalid_query(_request: HttpRequest, error: Exception) -> Response:
    return _error(str(error), status=400)


async def _on_store_error(_request: HttpRequest, error: Exception) -> Response:
    return _error(str(error), status=503)


async def _on_http_error(request: HttpRequest, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    method = "POST" if allowed == "POST" else "GET"
    reasons = {
        404: f"no such path: {request.url.path[:80]}",
        405: f"only {method} is allowed here",
    }
    return _error(reasons.get(status, str(error)), status=status)


async def _on_failure(request: HttpRequest, error: Exception) -> Response:
    # The server logs the traceback when this has been sent.
    logger.error("public-api failed on %s: %r", request.url.path, error)
    return _error("internal error; see the log of the control plane", status=500)


def _error(reason: str, *, status: int) -> Response:
    return JSONResponse({"error": reason.replace("\n", " ")}, status_code=status)
