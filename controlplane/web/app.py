"""The dashboard as an ASGI application: the page, the answers it shows, and live calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.web import exception_handlers
from linkerd2_py.controlplane.web.bundle import Bundle
from linkerd2_py.controlplane.web.guard import LOCAL_HOSTS, Guard

PORT: Final = 8084
"""In a cluster."""
LOCAL_PORT: Final = 50750
"""At a person's machine, as Linkerd's."""
PROGRAM: Final = "linkerd2-py"


@dataclass(frozen=True, slots=True)
class Page:
    """What the page is told of where it is.

    `source` is where the mesh comes from; `grafana` is the URL of a Grafana with our dashboards, empty where
    there is none.
    """

    source: Literal["local", "kubernetes"] = "local"
    grafana: str = ""
    control_plane_namespace: str = "linkerd"


def dashboard_app(
    *,
    api: Sequence[BaseRoute],
    page: Page,
    hosts: str = LOCAL_HOSTS,
    bundle: Bundle | None = None,
    further: Sequence[BaseRoute] = (),
) -> Starlette:
    """`api` are the operations of the public API, `hosts` the names that are answered under (a regular
    expression), `further` what else is served, as tap.
    """
    built = bundle or Bundle()
    told = {
        "version": __version__,
        "program": PROGRAM,
        "source": page.source,
        "grafana": page.grafana,
        "control_plane_namespace": page.control_plane_namespace,
        "tap": bool(further),
    }

    async def tell(_request: Request) -> Response:
        return JSONResponse(told, headers={"cache-control": "no-store"})

    async def ready(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    return Starlette(
        routes=[
            *api,
            *further,
            Route("/api/page", tell),
            Route("/api/{rest:path}", _no_such_path),
            Route("/ready", ready),
            Route("/assets/{name:str}", built.asset),
            Route("/{view:path}", built.page),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers=exception_handlers(),
    )


async def _no_such_path(request: Request) -> Response:
    return JSONResponse({"error": f"no such path: {request.url.path[:80]}"}, status_code=404)
