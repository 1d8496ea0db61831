"""What a cluster asks a process: is it alive, is it ready, what does it count."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.controlplane.run.kubernetes.health import Health


def admin_app(health: Health, *, metrics: CollectorRegistry) -> Starlette:
    """`/live` as long as the process runs, `/ready` with a line for everything that is missing or in trouble,
    `/metrics`; and `/ping`, as Linkerd's has.
    """

    async def live(_request: Request) -> Response:
        return PlainTextResponse("pong\n")

    async def ready(_request: Request) -> Response:
        missing = health.missing()
        lines = [*(missing or ["ok"]), *health.troubles()]
        body = "".join(" ".join(line.split()) + "\n" for line in lines)
        return PlainTextResponse(body, status_code=503 if missing else 200)

    async def own_metrics(_request: Request) -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    routes = {"/live": live, "/ping": live, "/ready": ready, "/metrics": own_metrics}
    return Starlette(routes=[Route(path, answer) for path, answer in routes.items()])
