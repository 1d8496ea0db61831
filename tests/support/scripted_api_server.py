"""An API server of objects in memory, which can be told to misbehave: lists, watches from a version on, over a
real socket.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from kubernetes.aio import client

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PODS: Final = "/api/v1/pods"
SERVICES: Final = "/api/v1/services"
SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"


class ScriptedApiServer:
    """All kinds that there are, which have no objects until some are `put`.

    `faults` are answers by path, given instead of the true one; that of "" goes for all others.
    """

    def __init__(self) -> None:
        self.faults: dict[str, Answer] = {}
        self.asked = 0
        self._objects: dict[str, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._told: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self._version = 1
        self._watches: set[asyncio.Task[object]] = set()
        self._news = asyncio.Event()

    def put(self, path: str, *objects: Json) -> None:
        """New objects, or others in the place of those of their name."""
        for found in objects:
            self._tell(path, "ADDED", found)
            self._objects[path][_name(found)] = found

    def remove(self, path: str, found: Json) -> None:
        """Drop one."""
        self._tell(path, "DELETED", found)
        del self._objects[path][_name(found)]

    def cut(self) -> None:
        """End all watches, in the middle of whatever they say."""
        for task in self._watches:
            task.cancel()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """To anything that is asked."""
        self.asked += 1
        fault = self.faults.get(request.path) or self.faults.get("")
        if fault:
            return await fault(request)
        if "watch" in request.query:
            return await self._watch(request)
        found = list(self._objects[request.path].values())
        about = {"resourceVersion": str(self._version)}
        return web.json_response({"items": found, "metadata": about})

    def _tell(self, path: str, kind: str, found: Json) -> None:
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        line = json.dumps({"type": kind, "object": found}).encode() + b"\n"
        self._told[path].append((self._version, line))
        self._news.set()
        self._news = asyncio.Event()

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            at = int(request.query["resourceVersion"])
            while True:
                news = self._news
                lines = [line for version, line in self._told[request.path] if version > at]
                at = max(at, self._version)
                if lines:
                    await response.write(b"".join(lines))
                await news.wait()
        finally:
            self._watches.discard(task)


def _name(found: Json) -> tuple[str, str]:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


@asynccontextmanager
async def scripted_api_server() -> AsyncIterator[tuple[ScriptedApiServer, ApiServer]]:
    """One that runs, and who asks it."""
    server = ScriptedApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    api = ApiServer(client.Configuration(host=f"http://127.0.0.1:{port}"))
    try:
        yield server, api
    finally:
        await api.close()
        await runner.cleanup()


def service(name: str, namespace: str = "shop") -> Json:
    """With one port, 80."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "http", "port": 80}]},
    }


def slice_of(name: str, ips: Iterable[str], namespace: str = "shop") -> Json:
    """Who serves that service, on 8080."""
    return {
        "metadata": {
            "name": f"{name}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [ip]} for ip in ips],
    }
