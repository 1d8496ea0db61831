"""The paths of the API: what there is to be discovered, and the watches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.aggregated.front_proxy import FrontProxy
from linkerd2_py.controlplane.tap.aggregated.paths import (
    GROUP,
    GROUP_VERSION,
    ROOT,
    VERSION,
    plural,
)
from linkerd2_py.controlplane.tap.door import WatchResponse, body_of
from linkerd2_py.controlplane.tap.refusals import BadRequestError, NotFoundError, TapRefusedError
from linkerd2_py.controlplane.tap.request import TARGETS, TapRequest
from linkerd2_py.controlplane.tap.tap import Tap

_KINDS: Final = {plural(kind): kind for kind in sorted(TARGETS)}
_VERSION: Final = {"groupVersion": GROUP_VERSION, "version": VERSION}
_OK: Final = ("/healthz", "/healthz/log", "/healthz/ping", "/livez", "/readyz")


def api_app(tap: Tap, *, front_proxy: FrontProxy, metrics: CollectorRegistry) -> Starlette:
    """Everything is for the API server alone; who watches is asked of its users."""

    async def watch(request: Request) -> Response:
        trusted = front_proxy.trusted
        asked = await _asked(request)
        return WatchResponse(await tap.watch(asked, user=trusted.user_of(request.headers)))

    async def own_metrics(_request: Request) -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    documents = _documents()
    fixed = [Route(path, _fixed(document)) for path, document in documents.items()]
    return Starlette(
        routes=[
            *fixed,
            *(Route(path, _ok) for path in _OK),
            Route("/metrics", own_metrics),
            Route(f"{ROOT}/watch/{{rest:path}}", watch, methods=["POST"]),
        ],
        middleware=[],
        exception_handlers={
            TapRefusedError: _on_refusal,
            HTTPException: _on_http_error,
        },
    )


class ApiServerOnly:
    """An application for whoever has shown the certificate of the API server."""

    def __init__(self, app: Any, *, front_proxy: FrontProxy) -> None:
        self._app = app
        self._front_proxy = front_proxy

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            names = self._front_proxy.names_of(scope.get("state", {}))
            self._front_proxy.trusted.check(names)
        except TapRefusedError as error:
            await _status(error.status, str(error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _asked(request: Request) -> TapRequest:
    """Whose traffic is in the path, which rules are about; the body says which of it."""
    body = await body_of(request)
    try:
        said = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the request is not JSON") from error
    if not isinstance(said, dict):
        raise BadRequestError("the request is not a JSON object")
    named = _named(request.path_params["rest"].split("/"))
    for word, value in named.items():
        # Only what is in the path has been looked at on the way here.
        if said.get(word) not in {None, "", value}:
            raise BadRequestError(f"{word} is said in the path: leave it out of the body")
    return TapRequest.of({**said, **named})


def _named(parts: Sequence[str]) -> dict[str, str]:
    match parts:
        case ["namespaces", namespace, "tap"]:
            return {"type": Kind.NAMESPACE.value, "name": namespace, "namespace": ""}
        case ["namespaces", namespace, resource, name, "tap"] if resource in _KINDS:
            return {"type": _KINDS[resource].value, "name": name, "namespace": namespace}
    raise NotFoundError("no such path: use watch/namespaces/NAMESPACE/KIND/NAME/tap")


def _documents() -> dict[str, dict[str, Any]]:
    group = {"name": GROUP, "versions": [_VERSION], "preferredVersion": _VERSION}
    paths = ["/apis", f"/apis/{GROUP}", ROOT, *_OK, "/metrics", "/openapi/v2", "/version"]
    operation = {"get": {"responses": {"200": {"description": "OK"}}}}
    return {
        "/": {"paths": paths},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]},
        f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **group},
        ROOT: {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": GROUP_VERSION,
            "resources": [one for kind in sorted(TARGETS) for one in _resources(kind)],
        },
        "/openapi/v2": {
            "swagger": "2.0",
            "info": {"title": "linkerd2-py tap", "version": __version__},
            "paths": dict.fromkeys(("/apis", f"/apis/{GROUP}", ROOT), operation),
        },
        "/version": {"major": "0", "minor": "0", "gitVersion": __version__},
    }


def _resources(kind: Kind) -> list[dict[str, Any]]:
    """The thing itself is listed, too: else its subresource is not shown."""
    about = {
        "singularName": "",
        "namespaced": kind is not Kind.NAMESPACE,
        "kind": "Tap",
        "verbs": ["watch"],
    }
    return [{"name": plural(kind), **about}, {"name": f"{plural(kind)}/tap", **about}]


def _fixed(document: dict[str, Any]) -> Any:
    async def answer(_request: Request) -> Response:
        return JSONResponse(document)

    return answer


async def _ok(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _on_refusal(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, TapRefusedError) else 500
    return _status(status, str(error))


async def _on_http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _status(status, f"{request.method} {request.url.path[:80]}: {error}")


def _status(code: int, reason: str) -> Response:
    """As API servers say what is wrong; `error` is where clients of Linkerd's tap look."""
    message = " ".join(reason.split())
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return JSONResponse({**status, "message": message, "error": message}, status_code=code)
