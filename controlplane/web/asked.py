"""The operations of the public API under the page's own origin: those of this process, or passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S: Final = 10.0
LARGEST: Final = 32 * 1024 * 1024


def passed_on(client: httpx2.AsyncClient) -> Route:
    """Every question is put to the public API that `client` leads to, as it came; nothing else of a request
    goes there.
    """
    import httpx2  # noqa: PLC0415  # only where there is another process to ask

    async def ask(request: Request) -> Response:
        path, query = request.url.path, request.url.query
        try:
            answer = await client.get(f"{path}?{query}" if query else path)
        except httpx2.HTTPError as error:
            reason = f"the public API does not answer: {str(error) or type(error).__name__}"
            return JSONResponse({"error": reason}, status_code=502)
        if len(answer.content) > LARGEST:
            return JSONResponse({"error": "the answer is too large"}, status_code=502)
        # Whatever it says that it is: this origin has no other kind of answers there.
        return Response(answer.content, answer.status_code, media_type="application/json")

    return Route("/api/v1/{name:str}", ask)
