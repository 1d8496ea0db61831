"""A port of this machine that leads to the dashboard of a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE
from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

WEB_PORT: Final = 8084
"""Of its pod."""
_COMPONENT: Final = "linkerd.io/control-plane-component=web"


@asynccontextmanager
async def forwarding(
    api: ApiServer, *, host: str, port: int, namespace: str = CONTROL_PLANE_NAMESPACE
) -> AsyncIterator[str]:
    """The URL of a cluster's dashboard, for as long as the block lasts. CliError where none runs there, or
    `host` and `port` cannot be listened on.

    Each connection goes to a pod that is ready at that moment: one that is replaced is not missed.
    """
    await _ready_pod(api, namespace=namespace)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _take(api, (reader, writer), namespace=namespace)

    try:
        server = await asyncio.start_server(take, host, port)
    except OSError as error:
        why = error.strerror or error
        raise CliError(f"cannot listen on {host}:{port}: {why}; -p 0 takes a free port") from error
    async with server:
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.sockets[0].getsockname()[1]}/"


async def _take(
    api: ApiServer,
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    namespace: str,
) -> None:
    from linkerd2_py.cli.forward import carried
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    try:
        pod = await _ready_pod(api, namespace=namespace)
        problem = await carried(api, near, namespace=namespace, pod=pod, port=WEB_PORT)
    except (ApiError, CliError, OSError) as error:
        problem = str(error)
    finally:
        near[1].close()
        with suppress(OSError):
            await near[1].wait_closed()
    if problem:
        output.note(f"linkerd2-py: {problem}")


async def _ready_pod(api: ApiServer, *, namespace: str) -> str:
    query = {"labelSelector": _COMPONENT, "fieldSelector": "status.phase=Running"}
    found = await api.get(f"/api/v1/namespaces/{namespace}/pods", query)
    names = sorted(
        str(pod["metadata"]["name"]) for pod in found.get("items") or () if _is_ready(pod)
    )
    if not names:
        raise CliError(
            f"no pod labelled {_COMPONENT} is ready in the namespace {namespace!r}: "
            "-L says where they are"
        )
    return names[0]


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
