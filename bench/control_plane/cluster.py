"""`python -m bench.control_plane.cluster WORKLOADS PODS_OF_EACH`: an API server of a cluster that lists its
objects in pages and watches them over HTTP, until killed. Prints its URL.

A real one needs minutes until somebody has written 10,000 pods into it. The objects have the size of those
of a cluster: what an injector and a kubelet write into a pod, of which little is needed.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bench.control_plane.mesh import NAMESPACE, PORT, TARGET_PORT, Size

Json = dict[str, Any]
_VERSION = "1000"
_NODES = 100
_BOOKMARK = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": _VERSION}}}
# What nobody of us reads: volumes, probes, annotations, who wrote which field.
_REST = {f"linkerd.io/setting-{number}": "a value that was set for it" * 4 for number in range(40)}


class ApiServer:
    """Of what is watched there is nothing new."""

    def __init__(self, size: Size) -> None:
        workloads = range(size.workloads)
        self._kinds: dict[str, list[Json]] = {
            "namespaces": [{"metadata": {"name": NAMESPACE}}],
            "nodes": [{"metadata": {"name": f"node-{number}"}} for number in range(_NODES)],
            "pods": [_pod(at, replica) for at in workloads for replica in range(size.pods_of_each)],
            "services": [_service(number) for number in workloads],
            "endpointslices": [_slice(number, size.pods_of_each) for number in workloads],
            "replicasets": [_replica_set(number) for number in workloads],
            "deployments": [_deployment(number, size.pods_of_each) for number in workloads],
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any list, or any watch."""
        if "watch" in request.query:
            return await self._watch(request)
        objects = self._kinds.get(request.path.rpartition("/")[2], [])
        at, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        page = {"resourceVersion": _VERSION}
        if at + limit < len(objects):
            page["continue"] = str(at + limit)
        return web.json_response({"metadata": page, "items": objects[at : at + limit]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(json.dumps(_BOOKMARK).encode() + b"\n")
        await asyncio.Event().wait()
        return answer


def _metadata(name: str, owner: tuple[str, str] | None = None, **more: object) -> Json:
    found: Json = {"name": name, "namespace": NAMESPACE, "resourceVersion": "7", **more}
    if owner:
        kind, of = owner
        found["ownerReferences"] = [{"kind": kind, "name": of, "controller": True}]
    return found


def _name(number: int) -> str:
    return f"workload-{number}"


def _ip(number: int, replica: int) -> str:
    return f"10.{number // 250}.{number % 250}.{replica + 1}"


def _pod(number: int, replica: int) -> Json:
    owner = "ReplicaSet", f"{_name(number)}-5d4f8c7b9"
    labels = {"app": _name(number), "linkerd.io/control-plane-ns": "linkerd"}
    ports = [{"name": "http", "containerPort": TARGET_PORT}]
    env = [{"name": f"LINKERD2_PROXY_SETTING_{at}", "value": "some value"} for at in range(40)]
    return {
        "metadata": _metadata(
            f"{_name(number)}-5d4f8c7b9-{replica}", owner, labels=labels, annotations=_REST
        ),
        "spec": {
            "serviceAccountName": _name(number),
            "nodeName": f"node-{number % _NODES}",
            "containers": [{"name": "app", "ports": ports}, {"name": "linkerd-proxy", "env": env}],
        },
        "status": {
            "phase": "Running",
            "startTime": "2026-11-01T00:00:00Z",
            "podIP": _ip(number, replica),
            "podIPs": [{"ip": _ip(number, replica)}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _service(number: int) -> Json:
    ip = f"10.200.{number // 250}.{number % 250 + 1}"
    ports = [{"name": "http", "port": PORT, "targetPort": TARGET_PORT, "protocol": "TCP"}]
    return {
        "metadata": _metadata(f"service-{number}"),
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": _name(number)},
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ports": ports,
        },
    }


def _slice(number: int, pods: int) -> Json:
    endpoints = [
        {
            "addresses": [_ip(number, replica)],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{number % _NODES}",
            "targetRef": {
                "kind": "Pod",
                "namespace": NAMESPACE,
                "name": f"{_name(number)}-5d4f8c7b9-{replica}",
            },
        }
        for replica in range(pods)
    ]
    labels = {"kubernetes.io/service-name": f"service-{number}"}
    return {
        "metadata": _metadata(f"service-{number}-abcde", labels=labels),
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": TARGET_PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    }


def _replica_set(number: int) -> Json:
    return {"metadata": _metadata(f"{_name(number)}-5d4f8c7b9", ("Deployment", _name(number)))}


def _deployment(number: int, pods: int) -> Json:
    return {"metadata": _metadata(_name(number)), "spec": {"replicas": pods}}


async def _serve(size: Size) -> None:
    app = web.Application()
    app.router.add_get("/{path:.*}", ApiServer(size).answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port, *_ = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


def main(words: Sequence[str]) -> None:
    """Until killed."""
    workloads, pods_of_each = map(int, words)
    asyncio.run(_serve(Size(workloads=workloads, pods_of_each=pods_of_each)))


if __name__ == "__main__":
    main(sys.argv[1:])
