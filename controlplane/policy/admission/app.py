"""A webhook that an API server asks: one path, one method."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linkerd2_py.controlplane.policy.admission.review import Json

Answer = Callable[[Json], Awaitable[Json]]
"""What becomes of a review. UnansweredError where nobody can say now."""
# The largest object that etcd takes, with what is said about it.
_LARGEST_REVIEW_BYTES = 3 * 1024 * 1024


class UnansweredError(Exception):
    """Nobody can say now: the failure policy of the webhook decides."""


def admission_app(answer: Answer) -> Starlette:
    """Answers AdmissionReviews that are posted to `/`."""

    async def review(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_REVIEW_BYTES:
                return Response("larger than any object\n", status_code=413)
        try:
            asked = json.loads(bytes(body))
        except (ValueError, RecursionError) as error:
            return Response(f"no JSON: {error}\n", status_code=400)
        try:
            # In ASCII: what came may have half a character in it.
            answered = json.dumps(await answer(asked), allow_nan=False)
        except UnansweredError as error:
            return Response(f"{error}\n", status_code=503)
        return Response(answered, media_type="application/json")

    return Starlette(routes=[Route("/", review, methods=["POST"])])
