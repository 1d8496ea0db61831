"""An HTTP/1.1 server that says who it is and what it was asked."""

import asyncio
import os

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def answer(request: Request) -> JSONResponse:
    if request.url.path == "/slow":
        await asyncio.sleep(float(request.query_params.get("s", "1")))
    _, _, status = request.url.path.partition("/status/")
    said = {
        "pod": os.environ.get("POD_NAME", ""),
        "method": request.method,
        "path": request.url.path,
        "headers": dict(request.headers),
        "body_bytes": len(await request.body()),
    }
    return JSONResponse(said, status_code=int(status or 200))


app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "DELETE"])])

if __name__ == "__main__":
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ["PORT"]),
        log_level="warning",
        timeout_keep_alive=75,
    )
