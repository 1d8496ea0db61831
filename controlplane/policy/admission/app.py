"""The webhook that an API server asks: one path, one method."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linkerd2_py.controlplane.policy.admission.review import answer

# The largest object that etcd takes, with what is said about it.
_LARGEST_REVIEW_BYTES = 3 * 1024 * 1024


def admission_app() -> Starlette:
    """Answers AdmissionReviews that are posted to `/`."""
    return Starlette(routes=[Route("/", _review, methods=["POST"])])


async def _review(request: Request) -> Response:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_REVIEW_BYTES:
            return Response("larger than any object\n", status_code=413)
    try:
        review = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        return Response(f"no JSON: {error}\n", status_code=400)
    return JSONResponse(answer(review))
